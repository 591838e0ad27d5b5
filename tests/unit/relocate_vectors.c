#include "relocate_vectors.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define COPY(name, original, min, copy, map)                                                       \
    {                                                                                              \
        name, original, min, NEAR, copy, map, 0, NULL                                              \
    }
#define DISTANT(name, original, min, copy, map)                                                    \
    {                                                                                              \
        name, original, min, FAR, copy, map, 0, NULL                                               \
    }
#define REFUSED(name, original, min, code, says)                                                   \
    {                                                                                              \
        name, original, min, NEAR, NULL, NULL, code, says                                          \
    }
#define REFUSED_FAR(name, original, min, code, says)                                               \
    {                                                                                              \
        name, original, min, FAR, NULL, NULL, code, says                                           \
    }

const struct relocate_vector relocate_vectors[] = {
    /* clang-format off: one row a line, as in the catalogue */
    /* A. direct branches */
    COPY("X1 jmp rel8", "eb 10 90 90 90", 5, "e9 @12", "0:0 5:5"),
    COPY("X2 jmp rel32", "e9 10 00 00 00", 5, "e9 @15", "0:0 5:5"),
    DISTANT("X1 jmp rel8, far", "eb 10 cc cc cc", 5, "ff 25 00 00 00 00 =12", "0:0 5:e"),
    DISTANT("X2 jmp rel32, far", "e9 10 00 00 00", 5, "ff 25 00 00 00 00 =15", "0:0 5:e"),
    REFUSED("X3 jmp rel16/32", "66 e9 04 00 00 00", 5, GIB_E_UNSUPPORTED, "66 e9 04 00 00 00 (jmp"),
    REFUSED("X3 jcc rel16/32", "66 0f 84 04 00 00 00", 5, GIB_E_UNSUPPORTED, "vendor"),
    REFUSED("X3 call rel16/32", "66 e8 04 00 00 00", 5, GIB_E_UNSUPPORTED, "vendor"),
    REFUSED("X3 jmp rel8, 66", "66 eb 04 90 90", 5, GIB_E_UNSUPPORTED, "vendor"),
    REFUSED("X3 loop, 66", "66 e2 14 90 90", 5, GIB_E_UNSUPPORTED, "vendor"),
    REFUSED("X3 xbegin rel16", "66 c7 f8 10 00", 5, GIB_E_UNSUPPORTED, "vendor"),
    COPY("X4 je rel8", "74 05 31 c0 90", 5, "0f 84 @7 31 c0 90 back", "0:0 2:6 4:8 5:9"),
    COPY("X5 je rel32", "0f 84 00 01 00 00", 5, "0f 84 @106 back", "0:0 6:6"),
    DISTANT("X5 je rel32, far", "0f 84 00 01 00 00", 5,
            "75 0e ff 25 00 00 00 00 =106 ff 25 00 00 00 00 =6", "0:0 6:10"),
    DISTANT("X5 jg rel8, far", "7f 10 90 90 90", 5,
            "7e 0e ff 25 00 00 00 00 =12 90 90 90 ff 25 00 00 00 00 =5", "0:0 2:10 3:11 4:12 5:13"),
    COPY("X7 je, hint 2e", "2e 74 05 31 c0", 5, "2e 0f 84 @8 31 c0 back", "0:0 3:7 5:9"),
    COPY("X8 je rel32, hint 3e", "3e 0f 84 00 01 00 00", 5, "3e 0f 84 @107 back", "0:0 7:7"),
    COPY("X9 bnd je", "f2 74 10 31 c0", 5, "f2 0f 84 @13 31 c0 back", "0:0 3:7 5:9"),
    COPY("X10 bnd jmp", "f2 e9 10 00 00 00", 5, "f2 e9 @16", "0:0 6:6"),
    COPY("X11 jrcxz", "e3 05 31 c0 90", 5, "e3 02 eb 05 e9 @7 31 c0 90 back", "0:0 2:9 4:b 5:c"),
    COPY("X11 jecxz", "67 e3 05 31 c0", 5, "67 e3 02 eb 05 e9 @8 31 c0 back", "0:0 3:a 5:c"),
    DISTANT("X11 jrcxz, far", "e3 05 31 c0 90", 5,
            "e3 02 eb 0e ff 25 00 00 00 00 =7 31 c0 90 ff 25 00 00 00 00 =5", "0:0 2:12 4:14 5:15"),
    COPY("X13 loop to itself", "e2 fe 90 90 90", 5, "e2 fe 90 90 90 back", "0:0 2:2 3:3 4:4 5:5"),
    COPY("X13 loop to itself among others", "e2 fe 48 8b 05 10 00 00 00", 5,
         "e2 02 eb 05 e9 ^0 48 8b 05 @19 back", "0:0 2:9 9:10"),
    COPY("X14 loop", "e2 10 90 90 90", 5, "e2 02 eb 05 e9 @12 90 90 90 back",
         "0:0 2:9 3:a 4:b 5:c"),
    COPY("X15 loope", "e1 10 90 90 90", 5, "e1 02 eb 05 e9 @12 90 90 90 back",
         "0:0 2:9 3:a 4:b 5:c"),
    COPY("X16 loopne", "e0 10 90 90 90", 5, "e0 02 eb 05 e9 @12 90 90 90 back",
         "0:0 2:9 3:a 4:b 5:c"),
    COPY("X18 xbegin", "c7 f8 10 00 00 00", 5, "c7 f8 @16 back", "0:0 6:6"),
    DISTANT("X18 xbegin, far", "c7 f8 10 00 00 00", 5,
            "c7 f8 02 00 00 00 eb 0e ff 25 00 00 00 00 =16 ff 25 00 00 00 00 =6", "0:0 6:16"),
    COPY("X20 je inside", "74 02 31 c0 90", 5, "74 02 31 c0 90 back", "0:0 2:2 4:4 5:5"),
    COPY("X20 je over a load", "74 07 0f b6 05 10 00 00 00 90", 10, "0f 84 ^d 0f b6 05 @19 90 back",
         "0:0 2:6 9:d a:e"),
    COPY("X21 je behind lock", "74 01 f0 0f b1 0a", 5, "74 01 f0 0f b1 0a back", "0:0 2:2 6:6"),
    REFUSED("X21 among others", "74 01 f0 0f b1 0a 48 8b 05 10 00 00 00", 10, GIB_E_UNSUPPORTED,
            "middle of another"),
    REFUSED("X21 second reading leaves the window", "74 01 b8 e9 00 00 00", 5, GIB_E_UNSUPPORTED,
            "middle of another"),
    REFUSED("X21 second reading is a branch", "74 01 b8 eb 01 90 90", 5, GIB_E_UNSUPPORTED,
            "middle of another"),
    /* A loop near the entry is displaced with its branch if nothing else can lead into it. */
    COPY("X22 back to byte 2", "31 c0 ff c0 39 f8 75 fa c3", 5, "31 c0 ff c0 39 f8 75 fa back",
         "0:0 2:2 4:4 6:6 8:8"),
    COPY("X22 over more than one turn", "31 c0 ff c0 39 f8 75 fa 39 f7 75 f8 c3", 5,
         "31 c0 ff c0 39 f8 75 fa 39 f7 75 f8 back", "0:0 2:2 4:4 6:6 8:8 a:a c:c"),
    COPY("X22 among others", "31 c0 3b 05 10 00 00 00 75 f8 c3", 5, "31 c0 3b 05 @18 0f 85 ^2 back",
         "0:0 2:2 8:8 a:e"),
    COPY("X22 entered at its test", "90 31 c0 eb 02 ff c0 39 f8 75 fa 79 f5 c3", 5,
         "90 31 c0 eb 02 ff c0 39 f8 75 fa 79 f5 back", "0:0 1:1 3:3 5:5 7:7 9:9 b:b d:d"),
    REFUSED("X22 entered at its test, too early", "31 c0 eb 02 ff c0 39 f8 75 fa c3", 5,
            GIB_E_TOO_SHORT, "after 4 bytes"),
    REFUSED("X22 in a switch", "31 c0 ff c0 39 f8 75 fa ff e2", 5, GIB_E_BRANCH,
            "0x7f0000401006: 75 fa (jnz 0x00007F0000401002): it branches back to byte 2"),
    REFUSED("X22 with a call", "31 c0 ff c0 ff d2 75 fa c3", 5, GIB_E_BRANCH, "byte 2"),
    REFUSED("X22 from a landing pad", "31 c0 ff c0 90 c3 89 f8 75 f8", 5, GIB_E_BRANCH, "byte 2"),
    COPY("X22 into an instruction", "31 c0 b8 01 00 00 00 75 fa c3", 5,
         "31 c0 b8 01 00 00 00 75 fa back", "0:0 2:2 7:7 9:9"),
    REFUSED("X22 into an instruction, among others",
            "31 c0 b8 01 00 00 00 48 8b 05 10 00 00 00 75 f3 c3", 5, GIB_E_BRANCH, "byte 3"),
    REFUSED("X22 into padding", "c3 90 90 90 90 31 c0 eb fb", 5, GIB_E_BRANCH, "byte 4"),
    REFUSED("X22 behind undecodable bytes", "31 c0 ff c0 90 ff e0 06 75 f8", 5, GIB_E_BRANCH,
            "byte 2"),
    REFUSED("X22 call from the body", "90 90 90 90 90 e8 f9 ff ff ff", 5, GIB_E_BRANCH, "byte 3"),
    REFUSED("X22 xbegin16 from the body", "90 90 90 90 90 c3 66 c7 f8 f5 ff", 5, GIB_E_BRANCH, ""),
    REFUSED("X22 loop from the body", "90 90 90 90 90 ff e0 e2 f8", 5, GIB_E_BRANCH, "loop"),
    REFUSED("X22 jrcxz from the body", "90 90 90 90 90 ff e0 e3 f8", 5, GIB_E_BRANCH, "jrcxz"),
    REFUSED("X22 jcc rel32", "90 90 90 90 90 ff e0 0f 8c f6 ff ff ff", 5, GIB_E_BRANCH, "byte 3"),
    COPY("X22 to the end of the window", "90 90 90 90 90 ff e0 e2 fc", 5, "90 90 90 90 90 back",
         NULL),
    COPY("X23 back to the entry", "ff c0 39 f8 90 7f f9 c3", 5, "ff c0 39 f8 90 7f f9 back",
         "0:0 2:2 4:4 5:5 7:7"),
    REFUSED("X23 in a switch", "ff c0 39 f8 90 7f f9 ff e0", 5, GIB_E_BRANCH, "byte 0"),
    COPY("X24 jmp rax", "ff e0 0f 1f 00", 5, "ff e0", "0:0 5:2"),

    /* B. calls */
    COPY("X25 call", "e8 10 00 00 00", 5, "e8 @15 back", "0:0 5:5"),
    DISTANT("X25 call, far", "e8 10 00 00 00", 5,
            "ff 15 02 00 00 00 eb 08 =15 ff 25 00 00 00 00 =5", "0:0 5:10"),
    COPY("X26 call next", "e8 00 00 00 00", 5, "68 05 10 40 00 c7 44 24 04 00 7f 00 00 back",
         "0:0 5:d"),
    COPY("X26 call next, pop", "e8 00 00 00 00 58", 6,
         "68 05 10 40 00 c7 44 24 04 00 7f 00 00 58 back", "0:0 5:d 6:e"),
    REFUSED("X26 call next, not popped", "e8 00 00 00 00 90", 6, GIB_E_UNSUPPORTED, "popped"),
    COPY("X28 bnd call", "f2 e8 10 00 00 00", 5, "f2 e8 @16 back", "0:0 6:6"),
    COPY("X29 call [rip+d]", "ff 15 10 00 00 00", 5, "ff 15 @16 back", "0:0 6:6"),
    REFUSED_FAR("X29 call [rip+d], far", "ff 15 10 00 00 00", 5, GIB_E_RANGE, "2 GiB"),
    COPY("X30 call [rip+d], REX.B", "41 ff 15 10 00 00 00", 5, "41 ff 15 @17 back", "0:0 7:7"),
    COPY("X31 call [rax]", "ff 10 90 90 90", 5, "ff 10 90 90 90 back", "0:0 2:2 3:3 4:4 5:5"),
    COPY("X32 call rax", "ff d0 90 90 90", 5, "ff d0 90 90 90 back", "0:0 2:2 3:3 4:4 5:5"),
    COPY("X33 lea of a TLS access", "66 48 8d 3d 10 00 00 00", 5, "66 48 8d 3d @18 back",
         "0:0 8:8"),
    COPY("X33 call of a TLS access", "66 66 48 e8 10 00 00 00", 5, "66 66 48 e8 @18 back",
         "0:0 8:8"),
    COPY("X35 recursion", "e8 fb ff ff ff", 5, "e8 @0 back", "0:0 5:5"),
    COPY("X35 recursion from the body", "55 48 89 e5 90 e8 f6 ff ff ff c3", 5,
         "55 48 89 e5 90 back", "0:0 1:1 4:4 5:5"),
    REFUSED("X35 call into the window", "90 90 e8 fa ff ff ff", 5, GIB_E_UNSUPPORTED,
            "return into"),
    COPY("X36 PC thunk", "48 8b 1c 24 c3", 5, "48 8b 1c 24 c3", "0:0 4:4 5:5"),

    /* C. RIP-relative data */
    COPY("X37 lea rax", "48 8d 05 10 00 00 00", 5, "48 8d 05 @17 back", "0:0 7:7"),
    DISTANT("X37 lea rax, far", "48 8d 05 10 00 00 00", 5, "48 b8 =17 ff 25 00 00 00 00 =7",
            "0:0 7:a"),
    COPY("X38 lea r12", "4c 8d 25 10 00 00 00", 5, "4c 8d 25 @17 back", "0:0 7:7"),
    DISTANT("X38 lea r12, far", "4c 8d 25 10 00 00 00", 5, "49 bc =17 ff 25 00 00 00 00 =7",
            "0:0 7:a"),
    COPY("X39 lea eax", "8d 05 10 00 00 00", 5, "8d 05 @16 back", "0:0 6:6"),
    /* 0x16 - 6 - 0x10000000000, of which 32 bits count */
    DISTANT("X39 lea eax, far", "8d 05 10 00 00 00", 5, "8d 05 10 00 00 00 ff 25 00 00 00 00 =6",
            "0:0 6:6"),
    COPY("X42 mov rax", "48 8b 05 10 00 00 00", 5, "48 8b 05 @17 back", "0:0 7:7"),
    DISTANT("X42 mov rax, far", "48 8b 05 10 00 00 00", 5,
            "48 b8 =17 48 8b 80 00 00 00 00 ff 25 00 00 00 00 =7", "0:0 7:11"),
    DISTANT("X42 mov r12d, far", "46 8b 25 10 00 00 00", 5,
            "49 bc =17 45 8b a4 24 00 00 00 00 ff 25 00 00 00 00 =7", "0:0 7:12"),
    DISTANT("X42 movzx r13d, far", "44 0f b6 2d 10 00 00 00", 5,
            "49 bd =18 45 0f b6 ad 00 00 00 00 ff 25 00 00 00 00 =8", "0:0 8:12"),
    REFUSED_FAR("X42 mov ax, far", "66 8b 05 10 00 00 00", 5, GIB_E_RANGE, "2 GiB"),
    REFUSED_FAR("X42 mov rsp, far", "48 8b 25 10 00 00 00", 5, GIB_E_RANGE, "2 GiB"),
    COPY("X43 store", "89 3d 10 00 00 00", 5, "89 3d @16 back", "0:0 6:6"),
    REFUSED_FAR("X43 store, far", "89 3d 10 00 00 00", 5, GIB_E_RANGE, "mov"),
    COPY("X44 16-bit store", "66 89 3d 96 5a 0e 00", 5, "66 89 3d @e5a9d back", "0:0 7:7"),
    COPY("X45 16-bit immediate", "66 c7 05 10 00 00 00 34 12", 5, "66 c7 05 @19/2 34 12 back",
         "0:0 9:9"),
    COPY("X47 64-bit store of an immediate", "48 c7 05 10 00 00 00 78 56 34 12", 5,
         "48 c7 05 @1b/4 78 56 34 12 back", "0:0 b:b"),
    COPY("X48 cmp byte", "80 3d 10 00 00 00 00", 5, "80 3d @17/1 00 back", "0:0 7:7"),
    COPY("X49 cmp dword", "83 3d 10 00 00 00 01", 5, "83 3d @17/1 01 back", "0:0 7:7"),
    COPY("X50 test byte", "f6 05 10 00 00 00 01", 5, "f6 05 @17/1 01 back", "0:0 7:7"),
    COPY("X51 test dword", "f7 05 10 00 00 00 01 00 00 00", 5, "f7 05 @1a/4 01 00 00 00 back",
         "0:0 a:a"),
    COPY("X52 mul", "f7 25 10 00 00 00", 5, "f7 25 @16 back", "0:0 6:6"),
    COPY("X54 lock cmpxchg", "f0 48 0f b1 0d 10 00 00 00", 5, "f0 48 0f b1 0d @19 back", "0:0 9:9"),
    COPY("X55 lock cmpxchg8b", "f0 0f c7 0d 10 00 00 00", 5, "f0 0f c7 0d @18 back", "0:0 8:8"),
    COPY("X57 store of rsp", "48 89 25 10 00 00 00", 5, "48 89 25 @17 back", "0:0 7:7"),
    COPY("X58 cmp rsp", "48 3b 25 10 00 00 00", 5, "48 3b 25 @17 back", "0:0 7:7"),
    COPY("X59 push", "ff 35 10 00 00 00", 5, "ff 35 @16 back", "0:0 6:6"),
    REFUSED_FAR("X59 push, far", "ff 35 10 00 00 00", 5, GIB_E_RANGE, "push"),
    COPY("X60 pop", "8f 05 10 00 00 00", 5, "8f 05 @16 back", "0:0 6:6"),
    COPY("X61 shl", "d3 25 10 00 00 00", 5, "d3 25 @16 back", "0:0 6:6"),
    COPY("X64 fs:[rip+d]", "64 48 8b 05 10 00 00 00", 5, "64 48 8b 05 @18 back", "0:0 8:8"),
    DISTANT("X64 fs:[rip+d], far", "64 48 8b 05 10 00 00 00", 5,
            "48 b8 =18 64 48 8b 80 00 00 00 00 ff 25 00 00 00 00 =8", "0:0 8:12"),
    COPY("X65 canary", "64 48 8b 04 25 28 00 00 00", 5, "64 48 8b 04 25 28 00 00 00 back",
         "0:0 9:9"),
    COPY("X66 split stack", "64 48 3b 24 25 70 00 00 00", 5, "64 48 3b 24 25 70 00 00 00 back",
         "0:0 9:9"),
    COPY("X67 movabs moffs", "48 a1 11 22 33 44 55 66 77 88", 5,
         "48 a1 11 22 33 44 55 66 77 88 back", "0:0 a:a"),
    COPY("X68 movss", "f3 0f 10 05 10 00 00 00", 5, "f3 0f 10 05 @18 back", "0:0 8:8"),
    COPY("X69 movdqa", "66 0f 6f 05 dc a7 01 00", 5, "66 0f 6f 05 @1a7e4 back", "0:0 8:8"),
    COPY("X70 palignr", "66 0f 3a 0f 05 10 00 00 00 08", 5, "66 0f 3a 0f 05 @1a/1 08 back",
         "0:0 a:a"),
    COPY("X71 VEX2", "c5 f8 28 05 10 00 00 00", 5, "c5 f8 28 05 @18 back", "0:0 8:8"),
    COPY("X72 VEX3", "c4 e2 7d 18 05 10 00 00 00", 5, "c4 e2 7d 18 05 @19 back", "0:0 9:9"),
    COPY("X74 mulx", "c4 e2 f3 f6 05 10 00 00 00", 5, "c4 e2 f3 f6 05 @19 back", "0:0 9:9"),
    COPY("X75 EVEX", "62 f1 7c 48 10 05 10 00 00 00", 5, "62 f1 7c 48 10 05 @1a back", "0:0 a:a"),
    REFUSED_FAR("X75 EVEX, far", "62 f1 7c 48 10 05 10 00 00 00", 5, GIB_E_RANGE, "vmovups"),
    COPY("X77 fld", "dd 05 10 00 00 00", 5, "dd 05 @16 back", "0:0 6:6"),
    COPY("X78 fnstcw", "d9 3d 10 00 00 00", 5, "d9 3d @16 back", "0:0 6:6"),
    COPY("X79 prefetch", "0f 18 05 10 00 00 00", 5, "0f 18 05 @17 back", "0:0 7:7"),
    DISTANT("X79 prefetch, far", "0f 18 05 10 00 00 00", 5, "90 ff 25 00 00 00 00 =7", "0:0 7:1"),
    COPY("X80 clflush", "0f ae 3d 10 00 00 00", 5, "0f ae 3d @17 back", "0:0 7:7"),
    REFUSED_FAR("X80 clflush, far", "0f ae 3d 10 00 00 00", 5, GIB_E_RANGE, "clflush"),
    REFUSED("X81 REX2", "d5 08 8b 05 10 00 00 00", 5, GIB_E_DECODE, "byte d5"),

    /* D. entry shapes */
    COPY("X82 endbr64", "f3 0f 1e fa 90", 5, "f3 0f 1e fa 90 back", "0:0 4:4 5:5"),
    COPY("X83 endbr64, jmp", "f3 0f 1e fa e9 10 00 00 00", 5, "f3 0f 1e fa e9 @19", "0:0 4:4 9:9"),
    COPY("X84 five nops", "90 90 90 90 90", 5, "90 90 90 90 90 back", "0:0 1:1 2:2 3:3 4:4 5:5"),
    COPY("X85 a nop of five", "0f 1f 44 00 00", 5, "0f 1f 44 00 00 back", "0:0 5:5"),
    COPY("X87 old mcount nop", "67 0f 1f 04 00", 5, "67 0f 1f 04 00 back", "0:0 5:5"),
    COPY("X88 call __fentry__", "e8 10 00 00 00", 5, "e8 @15 back", "0:0 5:5"),
    REFUSED("X90 XRay exit sled", "c3 2e 66 0f 1f 84 00 00 02 00 00", 5, GIB_E_TOO_SHORT,
            "not padding"),
    COPY("X91 hot-patch slot", "8b ff 55 8b ec", 5, "8b ff 55 8b ec back", "0:0 2:2 3:3 5:5"),
    REFUSED("X92 ret", "c3", 5, GIB_E_TOO_SHORT, "ends here, after 1 bytes"),
    COPY("X92 ret, padded", "c3 66 2e 0f 1f 84 00 00 00 00 00", 5, "c3", "0:0 b:1"),
    COPY("X93 rep ret", "f3 c3 66 66 90", 5, "f3 c3", "0:0 5:2"),
    COPY("X94 return 0", "31 c0 c3 0f 1f 40 00", 5, "31 c0 c3", "0:0 2:2 7:3"),
    REFUSED("X95 a neighbour", "89 f8 c3 b8 63 00 00 00 c3", 5, GIB_E_TOO_SHORT,
            "b8 63 00 00 00 (mov eax, 0x63)"),
    COPY("X96 ret, int3", "c3 cc cc cc cc", 5, "c3", "0:0 5:1"),
    COPY("X98 ret, zeros", "c3 00 00 00 00", 5, "c3", "0:0 5:1"),
    COPY("X99 ud2", "0f 0b 90 90 90", 5, "0f 0b", "0:0 5:2"),
    REFUSED("X100 int3", "cc 48 89 e5 90", 5, GIB_E_UNSUPPORTED, "breakpoint"),
    REFUSED("X100 int3 further on", "55 cc 89 e5 90", 5, GIB_E_UNSUPPORTED, "breakpoint"),
    COPY("X101 hlt", "f4 66 0f 1f 44 00 00", 5, "f4", "0:0 7:1"),
    COPY("X102 syscall", "0f 05 48 89 c7", 5, "0f 05 48 89 c7 back", "0:0 2:2 5:5"),
    COPY("X104 IBT PLT", "f3 0f 1e fa f2 ff 25 10 00 00 00", 5, "f3 0f 1e fa f2 ff 25 @1b",
         "0:0 4:4 b:b"),
    COPY("X105 PLT", "ff 25 10 00 00 00", 5, "ff 25 @16", "0:0 6:6"),
    COPY("X105 PLT, REX.W", "48 ff 25 10 00 00 00", 5, "48 ff 25 @17", "0:0 7:7"),
    REFUSED_FAR("X105 PLT, far", "ff 25 10 00 00 00", 5, GIB_E_RANGE, "jmp"),
    COPY("X106 stack realigned", "4c 8d 54 24 08 48 83 e4 f0 41 ff 72 f8", 13,
         "4c 8d 54 24 08 48 83 e4 f0 41 ff 72 f8 back", "0:0 5:5 9:9 d:d"),
    COPY("X107 frame", "55 48 89 e5 53", 5, "55 48 89 e5 53 back", "0:0 1:1 4:4 5:5"),
    COPY("X108 endbr64, frame", "f3 0f 1e fa 55 48 89 e5", 5, "f3 0f 1e fa 55 back", "0:0 4:4 5:5"),
    COPY("X109 enter", "c8 10 00 00 90", 5, "c8 10 00 00 90 back", "0:0 4:4 5:5"),
    COPY("X110 pushf", "9c 58 90 90 90", 5, "9c 58 90 90 90 back", "0:0 1:1 2:2 3:3 4:4 5:5"),
    COPY("X112 incsspq", "f3 48 0f ae e8", 5, "f3 48 0f ae e8 back", "0:0 5:5"),
    COPY("X113 rdsspq", "f3 48 0f 1e c8", 5, "f3 48 0f 1e c8 back", "0:0 5:5"),
    COPY("X114 rdpid", "f3 0f c7 f8 90", 5, "f3 0f c7 f8 90 back", "0:0 4:4 5:5"),
    REFUSED("X118 the end", "55 48 89", 5, GIB_E_TOO_SHORT, "end in the middle"),

    /* Our own: what only a window of several instructions shows. */
    COPY("je over ret", "74 01 c3 31 c0 c3", 5, "74 01 c3 31 c0 back", "0:0 2:2 3:3 5:5"),
    COPY("je over padding", "74 04 c3 0f 1f 00 31 c0 90", 8, "0f 84 ^7 c3 31 c0 back",
         "0:0 2:6 6:7 8:9"),
    REFUSED("je into padding", "74 02 c3 0f 1f 00", 5, GIB_E_UNSUPPORTED, "middle of another"),
    COPY("jump to the end of the window", "75 03 90 90 90", 5, "0f 85 @5 90 90 90 back",
         "0:0 2:6 3:7 4:8 5:9"),
    COPY("back to the entry, from the window", "ff c8 75 fc 90", 5, "ff c8 75 fc 90 back",
         "0:0 2:2 4:4 5:5"),
    COPY("back to the entry, among others", "ff c8 75 fc 48 8b 05 10 00 00 00", 5,
         "ff c8 0f 85 ^0 48 8b 05 @1b back", "0:0 2:2 4:8 b:f"),
    COPY("jmp to itself", "eb fe cc cc cc", 5, "eb fe", "0:0 5:2"),
    COPY("xbegin inside", "c7 f8 02 00 00 00 31 c0 90", 9, "c7 f8 02 00 00 00 31 c0 90 back",
         "0:0 6:6 8:8 9:9"),
    COPY("xbegin inside, among others", "c7 f8 07 00 00 00 48 8d 05 10 00 00 00 90", 14,
         "c7 f8 ^d 48 8d 05 @1d 90 back", "0:0 6:6 d:d e:e"),
    COPY("lea of the function", "48 8d 05 f9 ff ff ff", 5, "48 8d 05 @0 back", "0:0 7:7"),
    COPY("lea of the next", "48 8d 05 00 00 00 00", 5, "48 8d 05 @7 back", "0:0 7:7"),
    REFUSED("lea of a label inside", "48 8d 05 fa ff ff ff", 5, GIB_E_BRANCH, "label"),
    REFUSED("lea of a label inside, from the body", "55 48 89 e5 90 48 8d 05 f5 ff ff ff c3", 5,
            GIB_E_BRANCH, "0x7f0000401005: 48 8d 05 f5 ff ff ff"),
    REFUSED("reads its own code", "48 8b 05 f2 ff ff ff", 5, GIB_E_UNSUPPORTED,
            "accesses the code"),
    COPY("reads up to its own code", "48 8b 05 f1 ff ff ff", 5, "48 8b 05 @-8 back", "0:0 7:7"),
    COPY("reads just behind the window", "48 8b 05 00 00 00 00", 5, "48 8b 05 @7 back", "0:0 7:7"),
    COPY("[eip+d]", "67 8b 05 10 00 00 00", 5, "67 8b 05 @17 back", "0:0 7:7"),
    COPY("a nop with an address", "0f 1f 05 10 00 00 00", 5, "0f 1f 05 10 00 00 00 back",
         "0:0 7:7"),
    COPY("endbr64 padding is none", "31 c0 c3 90 f3 0f 1e fa", 4, "31 c0 c3", "0:0 2:2 4:3"),
    REFUSED("the next function's endbr64", "31 c0 c3 90 f3 0f 1e fa", 5, GIB_E_TOO_SHORT,
            "endbr64"),
    REFUSED("a padding cut by the end", "c3 0f 1f 44 00", 5, GIB_E_TOO_SHORT, "not padding"),
    REFUSED("an instruction too long", "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", 5,
            GIB_E_DECODE, "byte 66"),
    COPY("prefixes that leave no room", "2e 2e 2e 2e 2e 2e 2e 2e 2e 2e 74 10", 5, "0f 84 @1c back",
         "0:0 c:6"),
    COPY("no padding needed", "31 c0 c3", 2, "31 c0 back", "0:0 2:2"),
    COPY("one byte", "55 48 89 e5", 1, "55 back", "0:0 1:1"),
    REFUSED(
        "more than the boundaries hold",
        "90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 "
        "90 90 90 90 90",
        32, GIB_E_SPACE, "more than 31"),
    COPY("as many as the boundaries hold",
         "90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 "
         "90 90",
         31,
         "90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 "
         "90 90 "
         "back",
         NULL),
    /* clang-format on */
};

const size_t relocate_vector_count = sizeof relocate_vectors / sizeof relocate_vectors[0];

size_t vector_bytes(const char *text, uint8_t *bytes, size_t size)
{
    size_t count = 0;
    while (*text && count < size) {
        char *end;
        bytes[count++] = (uint8_t)strtoul(text, &end, 16);
        for (text = end; isspace((unsigned char)*text); text++)
            ;
    }
    return count;
}

uint64_t vector_to(const struct relocate_vector *vector)
{
    return vector->place == NEAR ? VECTOR_NEAR : VECTOR_FAR;
}
