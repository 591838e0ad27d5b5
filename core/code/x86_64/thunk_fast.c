/*
 * thunk_fast.c: nearly every patch is one action without filters on a function whose record is a
 * copy of registers. Then the thunk writes the record itself, and saves only four registers. It
 * calls the agent for the texts of a record, if there are any. What it does is what agent.c does,
 * in the same order, since a signal handler may come between any two instructions. Whatever is out
 * of the ordinary (a thread's first call, a handler that interrupts a record, a full ring, a failed
 * call, deep recursion) it leaves to the agent.
 *
 * rbp and rsp are those of the frame.
 */
#include "code/x86_64/thunk_fast.h"

/* ---- which sites, and when ---- */

/* What does not change as long as the site exists. */
static bool is_plain(const struct gib_site *site)
{
    return !site->flags && site->errno_rule <= GIB_ERRNO_NULL && site->stack_copy <= 64;
}
/* Whether the result is one word of its own. */
static bool has_plain_result(const struct gib_site *site)
{
    return !site->result_string &&
           (site->result <= GIB_RESULT_RAX || site->result == GIB_RESULT_XMM0);
}

/* Whether chunks may follow the words: texts, errno, or what the agent adds to a result. */
static bool may_grow(const struct gib_site *site)
{
    return site->strings || site->errno_rule || !has_plain_result(site);
}

/* Without chunks. */
static uint32_t record_lines(const struct gib_site *site)
{
    size_t words = site->words > 3 ? site->words : 3;
    return (uint32_t)((offsetof(struct gib_record, word) + 8 * words + GIB_LINE - 1) / GIB_LINE);
}

enum gib_gate gib_site_gate(struct gib_site *site, const struct gib_shared *shared)
{
    size_t enabled = 0, place = 0;
    for (size_t i = 0; i < site->actions; i++) {
        if (site->action[i].flags & GIB_ACTION_ENABLED) {
            enabled++;
            place = i;
        }
    }
    if (!enabled)
        return GIB_GATE_CLOSED;
    const struct gib_action *only = &site->action[place];
    if (enabled > 1 || only->flags != (GIB_ACTION_ENABLED | GIB_ACTION_RECORD) || !is_plain(site) ||
        site->thread_pointer != GIB_POINTER_FS0 || !shared->tid_offset)
        return GIB_GATE_GENERAL;
    site->fast_header = site->index | (uint64_t)record_lines(site) << 32 |
                        (uint64_t)GIB_RECORD_OPEN << 48 | 1ull << (56 + place);
    site->fast_counter = (uint32_t)(shared->counters_offset + 8ull * only->counter);
    site->fast_tid = shared->tid_offset;
    return GIB_GATE_FAST;
}

bool gib_fast_possible(const struct gib_thunk_request *request)
{
    return request->kind == GIB_THUNK_CALL_THROUGH && request->shape && is_plain(request->shape);
}

/* ---- code ---- */

/* What the code below changes; the others only the agent does, when it is called for texts. */
static const struct {
    int reg;
    int64_t offset;
} used[] =
    {
        {RAX, IN_FRAME(rax)},
        {RCX, IN_FRAME(gpr[3])},
        {RDX, IN_FRAME(gpr[2])},
        {R11, IN_FRAME(r11)},
},
  others[] = {
      {RDI, IN_FRAME(gpr[0])}, {RSI, IN_FRAME(gpr[1])}, {R8, IN_FRAME(gpr[4])},
      {R9, IN_FRAME(gpr[5])},  {R10, IN_FRAME(r10)},
};
static void move_used(struct emitter *e, uint8_t opcode)
{
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        gib_memory(e, opcode, used[i].reg, RBP, used[i].offset);
}
static void move_others(struct emitter *e, uint8_t opcode)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        gib_memory(e, opcode, others[i].reg, RBP, others[i].offset);
}

/*  REX.W 83 /7 ib     cmp qword [base + offset], 0   */
static void compare_with_zero(struct emitter *e, int base, int64_t offset)
{
    gib_memory(e, 0x83, 7, base, offset);
    BYTES(e, 0);
}
/*  REX.W c7 /0 id     mov qword [base + offset], 0   */
static void store_zero(struct emitter *e, int base, int64_t offset)
{
    gib_memory(e, 0xc7, 0, base, offset);
    gib_put32(e, 0);
}
/*  0f 31  48 c1 e2 20  48 09 d0     rdtsc ; shl rdx, 32 ; or rax, rdx   */
static void time_stamp(struct emitter *e)
{
    BYTES(e, 0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0);
}
/*  64 48 8b 0c 25 0     mov rcx, fs:0   */
static void thread_pointer(struct emitter *e)
{
    BYTES(e, 0x64, 0x48, 0x8b, 0x0c, 0x25, 0, 0, 0, 0);
}

/*
 *  r11 = this thread's block, found in its first place of the table and still its own:
 *      mov rcx, fs:0
 *      mov eax, ecx ; shr eax, 6 ; xor eax, ecx          gib_hash_index() times the size of a slot
 *      shr eax, 2 ; and eax, (slots - 1) * 16
 *      mov r11, slot ; mov r11, [r11 + rax + 8]
 *      test r11, r11 ; je enter ; cmp [r11 + owner], rcx ; jne enter
 *      mov rdx, site ; mov eax, [rdx + fast_tid]
 *      mov eax, [rcx + rax] ; cmp eax, [r11 + tid] ; jne enter
 *      mov rax, rsp ; shr rax, 12 ; sub eax, [r11 + shallow]   gib_depth_shallow()
 *      cmp eax, [r11 + shallow_pages] ; ja enter
 *      mov eax, [rdx + fast_counter] ; mov rax, [r11 + rax + 8 * HISTOGRAM]
 *      test rax, rax ; je enter ; mov [frame histogram], rax
 *  Keeps rdx = site.
 */
static void find_thread(struct emitter *e, const struct gib_thunk_request *r,
                        struct gib_fast_exits *exits)
{
    _Static_assert(sizeof(struct gib_hash_slot) == 16, "the shift by two below");
    thread_pointer(e);
    BYTES(e, 0x89, 0xc8, 0xc1, 0xe8, 6, 0x31, 0xc8, 0xc1, 0xe8, 2, 0x25);
    gib_put32(e, (GIB_HASH_SLOTS - 1) * sizeof(struct gib_hash_slot));
    gib_immediate(e, R11, r->hash + offsetof(struct gib_hash, slot));
    BYTES(e, 0x4d, 0x8b, 0x5c, 0x03, offsetof(struct gib_hash_slot, block));
    BYTES(e, 0x4d, 0x85, 0xdb);
    gib_jump_label(e, JE, &exits->enter);
    gib_memory(e, CMP, RCX, R11, IN_THREAD(owner));
    gib_jump_label(e, JNE, &exits->enter);
    gib_immediate(e, RDX, r->site);
    gib_memory32(e, LOAD, RAX, RDX, IN_SITE(fast_tid));
    BYTES(e, 0x8b, 0x04, 0x01);
    gib_memory32(e, CMP, RAX, R11, IN_THREAD(tid));
    gib_jump_label(e, JNE, &exits->enter);
    BYTES(e, 0x48, 0x89, 0xe0, 0x48, 0xc1, 0xe8, GIB_PAGE_SHIFT);
    gib_memory32(e, SUB, RAX, R11, IN_THREAD(shallow));
    gib_memory32(e, CMP, RAX, R11, IN_THREAD(shallow_pages));
    gib_jump_label(e, JA, &exits->enter);
    gib_memory32(e, LOAD, RAX, RDX, IN_SITE(fast_counter));
    BYTES(e, 0x49, 0x8b, 0x44, 0x03, 8 * GIB_COUNTER_HISTOGRAM);
    BYTES(e, 0x48, 0x85, 0xc0);
    gib_jump_label(e, JE, &exits->enter);
    save(e, RAX, histogram);
}

/*
 *      prefetchw [rcx + ahead + 64 * line]
 *
 *  The reader in the debugger, on another core, has looked at these lines a lap ago: they have to
 *  come back, and by the time they are written they are here. 512 bytes are four to eight calls.
 *  It touches nothing: an address behind the ring, even one that is not mapped, does no harm.
 */
static void fetch_ahead(struct emitter *e, uint32_t lines)
{
    enum { AHEAD = 512 };
    for (uint32_t i = 0; i < lines; i++) {
        BYTES(e, 0x0f, 0x0d, 0x89);
        gib_put32(e, AHEAD + i * GIB_LINE);
    }
}

/*
 *  rcx = the record, after claiming the block:
 *      cmp [r11 + busy], 0 ; jne enter ; mov [r11 + busy], rsp
 *      cmp [r11 + open], 0 ; jne enter_claimed
 *      mov rcx, [r11 + head]
 *      lea rax, [rcx + size]                              or the longest, if more may follow:
 *      mov eax, [rdx + lines] ; shl eax, 6 ; add rax, rcx
 *      cmp rax, [r11 + limit] ; ja enter_claimed
 *      mov [frame position], rcx ; add rcx, [r11 + base]
 */
static void reserve(struct emitter *e, const struct gib_site *shape, struct gib_fast_exits *exits)
{
    compare_with_zero(e, R11, IN_THREAD(busy));
    gib_jump_label(e, JNE, &exits->enter);
    gib_memory(e, STORE, RSP, R11, IN_THREAD(busy));
    compare_with_zero(e, R11, IN_THREAD(open));
    gib_jump_label(e, JNE, &exits->enter_claimed);
    gib_memory(e, LOAD, RCX, R11, IN_THREAD(head));
    if (may_grow(shape)) {
        gib_memory32(e, LOAD, RAX, RDX, IN_SITE(lines));
        BYTES(e, 0xc1, 0xe0, 6, 0x48, 0x01, 0xc8);
    } else {
        gib_memory(e, LEA, RAX, RCX, record_lines(shape) * GIB_LINE);
    }
    gib_memory(e, CMP, RAX, R11, IN_THREAD(limit));
    gib_jump_label(e, JA, &exits->enter_claimed);
    save(e, RCX, position);
    gib_memory(e, ADD, RCX, R11, IN_THREAD(base));
    fetch_ahead(e, shape->strings || record_lines(shape) > 1 ? 2 : 1);
}

/* rdx = an argument word that is not in a register of its own any more. */
static int argument(struct emitter *e, uint8_t source)
{
    static const int in_place[6] = {RDI, RSI, -1, -1, R8, R9};
    if (source < GIB_SOURCE_XMM && in_place[source] >= 0)
        return in_place[source];
    if (source < GIB_SOURCE_XMM)
        gib_memory(e, LOAD, RDX, RBP, IN_FRAME(gpr) + 8 * source);
    else
        gib_memory(e, LOAD, RDX, RBP, 16 + 8 * (source - GIB_SOURCE_STACK));
    return RDX;
}

/*
 *      save the other registers
 *      mov rdi, rcx ; mov rsi, site ; mov rdx, shared ; mov rcx, r11 ; mov r8, rsp
 *      mov rax, texts ; call rax                          record, site, shared, thread, frame
 *      mov rcx, rax ; mov r11, [thread]
 */
static void call_texts(struct emitter *e, const struct gib_thunk_request *r)
{
    move_others(e, STORE);
    BYTES(e, 0x48, 0x89, 0xcf);
    gib_immediate(e, RSI, r->site);
    gib_immediate(e, RDX, r->shared);
    BYTES(e, 0x4c, 0x89, 0xd9, 0x49, 0x89, 0xe0);
    gib_immediate(e, RAX, r->texts);
    BYTES(e, 0xff, 0xd0);
    BYTES(e, 0x48, 0x89, 0xc1);
    reload(e, R11, thread);
}

/*
 *      mov eax, [rdx + fast_counter] ; inc qword [r11 + rax]
 *      record: header, caller, rbp, words     mov [rcx + ...], ...
 *      frame:  header, thread, generation
 *      the texts, if there are any
 *      rdtsc ; mov [rcx + entered], rax ; mov [frame entered], rax
 *      mov rcx, [r11 + head] ; inc rcx ; mov [r11 + open], rcx ; mov [r11 + busy], 0
 */
static void write_entry(struct emitter *e, const struct gib_thunk_request *r)
{
    const struct gib_site *shape = r->shape;
    gib_memory32(e, LOAD, RAX, RDX, IN_SITE(fast_counter));
    BYTES(e, 0x49, 0xff, 0x04, 0x03);
    gib_memory(e, LOAD, RAX, RDX, IN_SITE(fast_header));
    gib_memory(e, STORE, RAX, RCX, 0);
    save(e, RAX, header);
    gib_memory(e, LOAD, RAX, RBP, IN_FRAME(caller));
    gib_memory(e, STORE, RAX, RCX, IN_RECORD(caller));
    gib_memory(e, STORE, RBP, RCX, IN_RECORD(duration));
    for (int i = 0; i < shape->words; i++) {
        int64_t place = IN_RECORD(word) + 8 * i;
        uint8_t source = shape->source[i];
        if (source >= GIB_SOURCE_XMM && source < GIB_SOURCE_STACK)
            gib_store_xmm(e, source - GIB_SOURCE_XMM, RCX, place);
        else
            gib_memory(e, STORE, argument(e, source), RCX, place);
    }
    int64_t end = IN_RECORD(word) + 8 * (shape->words > 3 ? shape->words : 3);
    if (end % GIB_LINE && !shape->strings)
        store_zero(e, RCX, end); /* GIB_CHUNK_END */
    save(e, R11, thread);
    gib_memory32(e, LOAD, RAX, R11, IN_THREAD(generation));
    save(e, RAX, generation);
    if (shape->strings)
        call_texts(e, r);
    time_stamp(e);
    gib_memory(e, STORE, RAX, RCX, IN_RECORD(entered));
    save(e, RAX, entered);
    gib_memory(e, LOAD, RCX, R11, IN_THREAD(head));
    BYTES(e, 0x48, 0xff, 0xc1);
    gib_memory(e, STORE, RCX, R11, IN_THREAD(open));
    store_zero(e, R11, IN_THREAD(busy));
}

/*
 *  A failed call has its errno recorded, by the agent:
 *      cmp eax, -1 ; je unsaved            GIB_ERRNO_MINUS_ONE; rax when the result is that wide
 *      test rax, rax ; je unsaved          GIB_ERRNO_NULL, and also the above: MAP_FAILED
 */
static void test_failure(struct emitter *e, const struct gib_site *shape,
                         struct gib_fast_exits *exits)
{
    if (shape->errno_rule == GIB_ERRNO_NO)
        return;
    if (shape->errno_rule == GIB_ERRNO_NULL) {
        BYTES(e, 0x48, 0x85, 0xc0);
        gib_jump_label(e, JE, &exits->unsaved);
    }
    if (shape->errno_rule == GIB_ERRNO_NULL || shape->result_size != 4)
        BYTES(e, 0x48);
    BYTES(e, 0x83, 0xf8, 0xff);
    gib_jump_label(e, JE, &exits->unsaved);
}

/*
 *  The record is completed where it was begun, if it is still the last one of this thread in this
 *  process:
 *      rdtsc                                              rax = now
 *      mov r11, [thread]
 *      mov rcx, hash ; mov rcx, [rcx + generation]
 *      cmp rcx, [frame generation] ; jne leave            forked
 *      mov rcx, fs:0 ; cmp rcx, [r11 + owner] ; jne leave another thread goes on here
 *      cmp [r11 + busy], 0 ; jne leave ; mov [r11 + busy], rsp
 *      mov rcx, [position] ; lea rdx, [rcx + 1]
 *      cmp rdx, [r11 + open] ; jne leave_claimed          others followed it
 *      add rcx, [r11 + base]
 *  rcx = the record, rdx = its position + 1.
 */
static void find_record(struct emitter *e, const struct gib_thunk_request *r,
                        struct gib_fast_exits *exits)
{
    time_stamp(e);
    reload(e, R11, thread);
    gib_immediate(e, RCX, r->hash + offsetof(struct gib_hash, generation));
    gib_memory(e, LOAD, RCX, RCX, 0);
    gib_memory(e, CMP, RCX, RBP, IN_FRAME(generation));
    gib_jump_label(e, JNE, &exits->leave);
    thread_pointer(e);
    gib_memory(e, CMP, RCX, R11, IN_THREAD(owner));
    gib_jump_label(e, JNE, &exits->leave);
    compare_with_zero(e, R11, IN_THREAD(busy));
    gib_jump_label(e, JNE, &exits->leave);
    gib_memory(e, STORE, RSP, R11, IN_THREAD(busy));
    reload(e, RCX, position);
    gib_memory(e, LEA, RDX, RCX, 1);
    gib_memory(e, CMP, RDX, R11, IN_THREAD(open));
    gib_jump_label(e, JNE, &exits->leave_claimed);
    gib_memory(e, ADD, RCX, R11, IN_THREAD(base));
}

/*
 *      sub rax, [frame entered] ; mov [rcx + duration], rax
 *      mov rax, [frame rax] ; mov [rcx + result], rax     or movq [rcx + result], xmm0
 *      mov byte [rcx + kind], CALL
 *      mov [r11 + open], 0
 *      mov rax, [rcx + duration]
 *      add rdx, size - 1                                  or, with texts:
 *      movzx ecx, word [rcx + lines] ; shl ecx, 6 ; lea rdx, [rdx + rcx - 1]
 *      mov [r11 + head], rdx                              published
 *  Keeps rax = the duration.
 */
static void write_return(struct emitter *e, const struct gib_site *shape)
{
    gib_memory(e, SUB, RAX, RBP, IN_FRAME(entered));
    gib_memory(e, STORE, RAX, RCX, IN_RECORD(duration));
    if (shape->result == GIB_RESULT_XMM0) {
        gib_store_xmm(e, 0, RCX, IN_RECORD(result));
    } else {
        reload(e, RAX, rax);
        gib_memory(e, STORE, RAX, RCX, IN_RECORD(result));
    }
    BYTES(e, 0xc6, 0x41, offsetof(struct gib_record, kind), GIB_RECORD_CALL);
    store_zero(e, R11, IN_THREAD(open));
    if (shape->result != GIB_RESULT_XMM0)
        gib_memory(e, LOAD, RAX, RCX, IN_RECORD(duration));
    if (shape->strings) {
        BYTES(e, 0x0f, 0xb7, 0x49, offsetof(struct gib_record, lines));
        BYTES(e, 0xc1, 0xe1, 6, 0x48, 0x8d, 0x54, 0x0a, 0xff);
    } else {
        BYTES(e, 0x48, 0x81, 0xc2);
        gib_put32(e, record_lines(shape) * GIB_LINE - 1);
    }
    gib_memory(e, STORE, RDX, R11, IN_THREAD(head));
}

/*
 *  What gib_time_call() does, with rax = the duration, of the call before this one:
 *      mov rdx, [frame histogram]
 *      mov rcx, [rdx + last] ; mov [rdx + last], rax
 *      cmp rcx, [rdx + least] ; jb seldom
 *      cmp rcx, [rdx + most] ; ja seldom
 *  known:
 *      add [rdx + total], rcx
 *      mov rax, rcx ; bsr rcx, rcx ; sub ecx, FINE        no less than 1 << FINE here
 *      shr rax, cl ; lea ecx, [rax + rcx * 8]             gib_histogram_index()
 *  tiny:
 *      inc qword [rdx + rcx * 8 + bucket]
 *      mov [r11 + busy], 0
 *
 *  Not of this call: that would cost 7 ns and not 1. Which bucket it is depends on the time stamp
 *  just taken, and AMD's processors let no load pass a store whose address they do not know yet:
 *  everything up to the next time stamp would wait for this one. (bsr waits for the old value of
 *  its destination, too.)
 */
struct seldom {
    struct label here;
    uint64_t known, tiny; /* addresses it goes back to */
};
static void time_call(struct emitter *e, struct seldom *seldom)
{
    _Static_assert(1 << GIB_HISTOGRAM_FINE == 8, "the scale of lea");
    reload(e, RDX, histogram);
    gib_memory(e, LOAD, RCX, RDX, IN_HISTOGRAM(last));
    gib_memory(e, STORE, RAX, RDX, IN_HISTOGRAM(last));
    gib_memory(e, CMP, RCX, RDX, IN_HISTOGRAM(least));
    gib_jump_label(e, JB, &seldom->here);
    gib_memory(e, CMP, RCX, RDX, IN_HISTOGRAM(most));
    gib_jump_label(e, JA, &seldom->here);
    seldom->known = e->address + e->at;
    gib_memory(e, ADD_TO, RCX, RDX, IN_HISTOGRAM(total));
    BYTES(e, 0x48, 0x89, 0xc8, 0x48, 0x0f, 0xbd, 0xc9, 0x83, 0xe9, GIB_HISTOGRAM_FINE);
    BYTES(e, 0x48, 0xd3, 0xe8, 0x8d, 0x0c, 0xc8);
    seldom->tiny = e->address + e->at;
    BYTES(e, 0x48, 0xff, 0x84, 0xca);
    gib_put32(e, (uint32_t)offsetof(struct gib_histogram, bucket));
    store_zero(e, R11, IN_THREAD(busy));
}

/*
 *  seldom:
 *      test rcx, rcx ; jns later
 *      xor ecx, ecx                                       the processors' counters are apart
 *  later:
 *      cmp rcx, [rdx + most] ; jbe no_more ; mov [rdx + most], rcx
 *  no_more:
 *      cmp rcx, 1 << FINE ; jb few
 *      cmp rcx, [rdx + least] ; jae known ; mov [rdx + least], rcx ; jmp known
 *  few:
 *      mov qword [rdx + least], 1 << FINE ; add [rdx + total], rcx ; jmp tiny
 */
static void time_seldom(struct emitter *e, const struct seldom *seldom)
{
    struct label later = {0}, no_more = {0}, few = {0};
    gib_label_here(e, &seldom->here);
    BYTES(e, 0x48, 0x85, 0xc9);
    gib_jump_label(e, JNS, &later);
    BYTES(e, 0x31, 0xc9);
    gib_label_here(e, &later);
    gib_memory(e, CMP, RCX, RDX, IN_HISTOGRAM(most));
    gib_jump_label(e, JBE, &no_more);
    gib_memory(e, STORE, RCX, RDX, IN_HISTOGRAM(most));
    gib_label_here(e, &no_more);
    BYTES(e, 0x48, 0x83, 0xf9, 1 << GIB_HISTOGRAM_FINE);
    gib_jump_label(e, JB, &few);
    gib_memory(e, CMP, RCX, RDX, IN_HISTOGRAM(least));
    gib_jump_if(e, JAE, seldom->known);
    gib_memory(e, STORE, RCX, RDX, IN_HISTOGRAM(least));
    gib_jump(e, seldom->known);
    gib_label_here(e, &few);
    gib_memory(e, 0xc7, 0, RDX, IN_HISTOGRAM(least));
    gib_put32(e, 1 << GIB_HISTOGRAM_FINE);
    gib_memory(e, ADD_TO, RCX, RDX, IN_HISTOGRAM(total));
    gib_jump(e, seldom->tiny);
}

void gib_fast_body(struct emitter *e, const struct gib_thunk_request *r,
                   struct gib_fast_exits *exits)
{
    move_used(e, STORE);
    find_thread(e, r, exits);
    reserve(e, r->shape, exits);
    write_entry(e, r);
    gib_copy_stack(e, r->shape->stack_copy);
    move_used(e, LOAD);
    if (r->shape->strings)
        move_others(e, LOAD);
    BYTES(e, 0xe8); /* call trampoline */
    gib_put_relative(e, r->callee, 0);
    if (!has_plain_result(r->shape)) {
        gib_jump_label(e, JMP, &exits->unsaved);
        return;
    }
    test_failure(e, r->shape, exits);
    move_used(e, STORE);
    find_record(e, r, exits);
    write_return(e, r->shape);
    struct seldom seldom = {0};
    time_call(e, &seldom);
    move_used(e, LOAD);
    BYTES(e, 0xc9, 0xc3); /* leave ; ret */
    time_seldom(e, &seldom);
}

void gib_fast_to_enter(struct emitter *e, const struct gib_fast_exits *exits)
{
    gib_label_here(e, &exits->enter_claimed);
    store_zero(e, R11, IN_THREAD(busy));
    gib_label_here(e, &exits->enter);
    move_used(e, LOAD);
}

void gib_fast_to_leave(struct emitter *e, const struct gib_fast_exits *exits, uint64_t leave)
{
    gib_label_here(e, &exits->leave_claimed);
    store_zero(e, R11, IN_THREAD(busy));
    gib_label_here(e, &exits->leave);
    move_used(e, LOAD);
    gib_label_here(e, &exits->unsaved);
    gib_jump(e, leave);
}
