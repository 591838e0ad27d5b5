"""Real programs with every function of their libraries patched: does anybody notice?

    python3 tests/bench/every_export.py [-d gdb|lldb] [-m count|records|backtrace|switched] [-1 N] [CASE...]

Each case is a program of Debian, what it works on, and the modules whose functions are wrapped. It runs once without a debugger and once
for each debugger and mode, with all functions wrapped at once before the first constructor; exit status, output and the files it leaves
must be the same. In the mode `switched` patches come and go while it runs. With -1 N, functions are wrapped one at a time instead: N of each module, spread evenly (0: all). Prints a line a run, and
exits with the number of runs that differed. What differed stays in the folder that is named at the end.
"""
import argparse
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PYTHON = "/usr/bin/python3"
MODES = {"count": "-count", "records": "-quiet", "backtrace": "-quiet -backtrace 6", "switched": "-quiet"}

# ---- what there is to work on ----

SQL = """create table t(a integer primary key, b text, c real);
with recursive n(x) as (select 1 union all select x+1 from n where x < 3000) insert into t select x, hex(x*x), x/7.0 from n;
create index i on t(b);
select count(*), sum(a), max(b), round(avg(c), 6) from t;
select a, b, printf('%.3f', c) from t where b like '%1A%' order by b limit 20;
select group_concat(a) from (select a from t where b glob '*F' order by c desc limit 30);
begin; delete from t where a % 3 = 0; rollback; select count(*) from t; vacuum; pragma integrity_check;
select json_group_array(a) from t where a < 20; select strftime('%Y', '2020-05-06'), substr(quote(zeroblob(4)), 1, 9), upper(b) from t limit 3;
"""
PYTHON_SCRIPT = r"""
import bz2, collections, ctypes, datetime, decimal, fractions, hashlib, io, itertools, json, locale, lzma, math, os, pickle, random, re, socket
import sqlite3, statistics, struct, subprocess, sys, tempfile, threading, time, unicodedata, xml.etree.ElementTree as tree, zlib, queue, select, signal
random.seed(4)
print(json.dumps({str(i): [i ** 3, i / 7, "\u00e9" * (i % 5)] for i in range(300)})[:2000])
text = ("the quick brown fox %d " * 3000) % tuple(range(3000))
data = text.encode()
for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
    print(name, hashlib.new(name, data).hexdigest())
print(len(zlib.compress(data, 9)), len(lzma.compress(data)), len(bz2.compress(data)))
assert zlib.decompress(zlib.compress(data)) == lzma.decompress(lzma.compress(data)) == bz2.decompress(bz2.compress(data)) == data
print(re.sub(r"(\w+) (\w+)", r"\2 \1", text)[:80], len(re.findall(r"\bq\w+|f[aeo]x", text)))
print(decimal.Decimal(2).sqrt(), fractions.Fraction(355, 113), math.lgamma(4.5), math.erf(.3), math.fsum([.1] * 10), math.gamma(5), 2 ** 400, statistics.stdev(range(50)))
print(["%.12g" % f(0.7) for f in (math.sin, math.cos, math.tan, math.asin, math.acos, math.atan, math.sinh, math.cosh, math.tanh, math.exp, math.log, math.log2, math.log10, math.sqrt, math.cbrt, math.expm1, math.log1p)])
base = sqlite3.connect(":memory:")
base.execute("create table t(a, b)")
base.executemany("insert into t values (?, ?)", ((i, str(i * i)) for i in range(500)))
base.create_function("twice", 1, lambda x: x * 2)
print(base.execute("select sum(twice(a)), max(b) from t where b like '%4'").fetchall())
try:
    base.execute("select nothing from nowhere")
except sqlite3.Error as error:
    print(error)
total, lock, jobs = [0], threading.Lock(), queue.Queue()
def work():
    while True:
        n = jobs.get()
        if n is None:
            return
        digest = hashlib.sha256(b"%d" % n * 3000).hexdigest()
        zlib.crc32(data)
        with lock:
            total[0] += int(digest[:8], 16)
threads = [threading.Thread(target=work) for _ in range(6)]
for t in threads:
    t.start()
for n in range(400):
    jobs.put(n)
for t in threads:
    jobs.put(None)
for t in threads:
    t.join()
print("threads", total[0])
print(subprocess.run(["sh", "-c", "echo from a child; exit 3"], capture_output=True))
child = os.fork()
if not child:
    print("forked", flush=True)
    os._exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
a, b = socket.socketpair()
threading.Thread(target=lambda: (time.sleep(.01), b.sendall(b"hello"))).start()
print(select.select([a], [], [], 5)[0] == [a], a.recv(9))
hits = []
signal.signal(signal.SIGALRM, lambda *x: hits.append(1))
signal.setitimer(signal.ITIMER_REAL, .002, .002)
x = 0
while len(hits) < 5:
    x += len(str(math.sqrt(x)))
signal.setitimer(signal.ITIMER_REAL, 0)
print("alarms", len(hits) >= 5)
root = tree.fromstring("<a>" + "<b c='%d'>t</b>" % 4 * 50 + "</a>")
print(len(root.findall("b")), pickle.loads(pickle.dumps({1: [2, (3,)]})), struct.pack("<idq", 1, 2.5, 3), unicodedata.normalize("NFD", "\u00e9") == "e\u0301")
libc = ctypes.CDLL(None)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda p, q: p[0] - q[0])
array = (ctypes.c_int * 50)(*[random.randrange(1000) for _ in range(50)])
libc.qsort(array, 50, 4, compare)
print(list(array))
libc.snprintf.argtypes = None
buffer = ctypes.create_string_buffer(100)
libc.snprintf(buffer, 100, b"%d %s %.3f", 5, b"six", ctypes.c_double(7.5))
print(buffer.value)
print(datetime.datetime(2020, 1, 2, 3, 4).strftime("%A %d %B %j"), sorted(str(i) for i in range(300))[:20])
def deep(n):
    return n and 1 + deep(n - 1)
print(deep(900), sum(itertools.islice(itertools.count(), 20000)), collections.Counter(text).most_common(3))
with tempfile.TemporaryDirectory() as folder:
    for i in range(30):
        open(os.path.join(folder, str(i)), "w").write("x" * i)
    print(sorted(os.path.getsize(e.path) for e in os.scandir(folder)))
sys.exit(7)
"""
PERL_SCRIPT = r"""
use strict; use warnings; use POSIX; use List::Util qw(sum max first shuffle); use Digest::MD5 qw(md5_hex); use Time::Local;
my %h; $h{$_ % 97} .= chr(65 + $_ % 26) for 1..20000;
print join(",", map { "$_=" . md5_hex($h{$_}) } sort { $a <=> $b } keys %h), "\n";
my $text = join " ", map { sprintf "%05d-%s", $_, scalar reverse $_ } 1..5000;
my $n = 0; $n++ while $text =~ /\b(\d+)7-(\d)/g; print "$n\n";
(my $t = $text) =~ s/(\d)(\d)/$2$1/g; print md5_hex($t), " ", length $t, "\n";
print floor(3.7), " ", fmod(7.5, 2), " ", strtol("ff", 16), " ", strftime("%Y-%m-%d", gmtime(86400 * 365)), "\n";
eval { die { code => 4 } }; print "caught $@->{code}\n";
local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; select undef, undef, undef, 3; }; print $@;
my $out = `echo child; exit 3`; print $out, $? >> 8, "\n";
my $pid = fork; if (!$pid) { exit 9 } waitpid $pid, 0; print $? >> 8, "\n";
open my $f, ">", "perl.out" or die; print $f pack("NnC*", 1, 2, 3..200) x 50; close $f; print -s "perl.out", "\n";
print sum(map { sqrt } 1..1000), " ", max(map { ($_ * 7919) % 1009 } 1..2000), "\n"; exit 4;
"""
BASH_SCRIPT = r"""
for i in {1..40}; do printf '%s-%s\n' $i "$((i * i))"; done | sort -r | head -5
x=$(echo sub; exit 3); echo "$x $?"; [[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo "${BASH_REMATCH[@]}"
declare -A a; for w in one two three; do a[$w]=${#w}; done; for w in one two three; do echo $w ${a[$w]}; done
f() { local n=$1; (( n )) && f $((n - 1)) || echo deep; }; f 100
cat <<< here; echo /usr/bin/[xy]z*; trap 'echo trapped' ALRM; kill -ALRM $$; wait; (sleep 0.1; echo late) & wait $!
while read -r l; do echo "<$l>"; done < <(printf 'a\nb\n'); echo {a,b}{1,2} | tr a-z A-Z | sed 's/1/x/g'; mapfile -t m < lines; echo ${#m[@]}
exec 3>written; echo to three >&3; exec 3>&-; ulimit -n; type cd; printf '%(%Y)T\n' 0; exit 6
"""
CXX = r"""
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>
struct Base { virtual ~Base() {} virtual int f(int n) const { return n; } };
struct Derived : virtual Base { int f(int n) const override { if (n % 7 == 0) throw std::out_of_range("seven " + std::to_string(n)); return n * 2; } };
struct Guard { int &n; ~Guard() { n++; } };
static int unwound;
static int nested(int n) { Guard g{unwound}; if (!n) throw std::runtime_error("bottom"); try { return nested(n - 1) + 1; } catch (const std::logic_error &) { return 0; } }
int main(int argc, char **argv)
{
    std::unique_ptr<Base> b(new Derived);
    int caught = 0; long sum = 0;
    for (int i = 1; i < 2000; i++) try { sum += b->f(i); } catch (const std::exception &e) { caught++; sum += (long)std::string(e.what()).size(); }
    std::cout << caught << ' ' << sum << std::endl;
    try { nested(50); } catch (const std::runtime_error &e) { std::cout << e.what() << ' ' << unwound << '\n'; }
    try { std::vector<int>().at(3); } catch (const std::exception &e) { std::cout << "at\n"; }
    try { try { throw 3; } catch (...) { std::throw_with_nested(std::runtime_error("outer")); } } catch (const std::exception &e) { try { std::rethrow_if_nested(e); } catch (int n) { std::cout << e.what() << n << '\n'; } }
    std::map<std::string, int> words; std::ostringstream os; std::mt19937 r(3);
    for (int i = 0; i < 3000; i++) { os << std::setw(5) << std::setfill('0') << (r() % 500) << (i % 9 ? ' ' : '\n'); }
    std::istringstream is(os.str()); std::string w; while (is >> w) words[w]++;
    std::cout << words.size() << ' ' << words.begin()->first << ' ' << std::hexfloat << 1.5 << std::defaultfloat << ' ' << std::setprecision(12) << 2.0 / 3 << '\n';
    std::regex re("(\\d)(\\d+)"); std::cout << std::regex_replace(os.str().substr(0, 200), re, "$2-$1") << '\n';
    std::atomic<long> total{0}; std::mutex m; std::condition_variable cv; int turn = 0; std::vector<std::thread> ts;
    for (int t = 0; t < 4; t++) ts.emplace_back([&, t] { for (int i = 0; i < 200; i++) { try { if (i % 10 == 0) throw std::string("x"); total += i; } catch (const std::string &s) { total += (long)s.size(); }
        std::string k; for (int j = 0; j < 20; j++) k += std::to_string(j); total += (long)k.size(); }
        std::unique_lock<std::mutex> l(m); cv.wait(l, [&] { return turn == t; }); std::cout << "turn " << t << '\n'; turn++; cv.notify_all(); });
    for (auto &t : ts) t.join();
    std::cout << total << '\n';
    auto f = std::async(std::launch::async, [] { if (1) throw std::domain_error("async"); return 1; });
    try { f.get(); } catch (const std::domain_error &e) { std::cout << e.what() << '\n'; }
    std::ofstream("cxx.out") << os.str(); std::ifstream in("cxx.out"); int lines = 0; while (std::getline(in, w)) lines++; std::cout << lines << '\n';
    std::vector<std::string> v; for (auto &p : words) v.push_back(p.first); std::sort(v.rbegin(), v.rend()); std::cout << v[3] << ' ' << std::accumulate(words.begin(), words.end(), 0, [](int a, auto &p) { return a + p.second; }) << '\n';
    std::wstringstream ws; ws << L"wide " << 42 << L' ' << 1.25; std::wstring x = ws.str(); std::cout << x.size() << '\n';
    std::shared_ptr<int> sp = std::make_shared<int>(4); std::weak_ptr<int> wp = sp; sp.reset(); std::cout << wp.expired() << dynamic_cast<Derived *>(b.get())->f(4) << typeid(*b).name() << '\n';
    fprintf(stderr, "to the error output %d\n", argc); std::cerr << std::boolalpha << true << '\n'; return 11;
}
"""


def quiet(words, **more):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def make_data(folder, env):
    """What the cases read. Every run gets a copy of it under the same name."""
    def put(name, text):
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    put("script.sql", SQL)
    put("script.py", PYTHON_SCRIPT)
    put("script.pl", PERL_SCRIPT)
    put("script.sh", BASH_SCRIPT)
    put("cxx.cc", CXX)
    state, lines = 1, []
    for i in range(120000):
        state = (state * 1103515245 + 12345) & 0x7fffffff
        lines.append("%08d key%d %s" % (state, state % 977, "word " * (state % 6)))
    put("lines", "\n".join(lines) + "\n")
    put("short", "\n".join(lines[:3000]) + "\n")
    put("x.xml", "<?xml version='1.0'?>\n<!DOCTYPE r [<!ENTITY e 'text'>]>\n<r>" + "".join("<item id='%d'><name>n%d &e;</name><v>%d</v></item>\n" % (i, i, i * i) for i in range(800)) + "</r>\n")
    put("x.json", "[" + ",".join('{"id": %d, "name": "n%d", "v": [%d, %g, null]}' % (i, i, i * i, i / 7) for i in range(800)) + "]")
    put("build.ninja", "rule cat\n  command = cat $in > $out\nbuild a: cat script.sql script.py\nbuild b: cat a short\nbuild c: cat b a\ndefault c\n")
    put("x.cmake", 'set(s "")\nforeach(i RANGE 300)\nmath(EXPR j "${i} * ${i}")\nlist(APPEND s ${j})\nendforeach()\nlist(SORT s)\nstring(REGEX REPLACE "1([0-9])" "<\\\\1>" t "${s}")\nmessage("${t}")\nfile(WRITE cm.out "${t}")\nfile(SHA256 cm.out h)\nmessage(${h})\nmessage(FATAL_ERROR "the end")\n')
    quiet(["g++", "-O2", "-pthread", "-o", "cxx", "cxx.cc"], cwd=folder)
    if shutil.which("clang++-14"):
        quiet(["clang++-14", "-O1", "-pthread", "-static-libstdc++", "-static-libgcc", "-o", "cxx-static", "cxx.cc"], cwd=folder)
    quiet(["git", "init", "-q", "-b", "main", "repository"], cwd=folder, env=env)
    where = os.path.join(folder, "repository")
    for i in range(6):
        with open(os.path.join(where, "file"), "w") as file:
            file.write("\n".join(lines[i * 40:i * 40 + 400]))
        quiet(["git", "add", "file"], cwd=where, env=env)
        quiet(["git", "commit", "-q", "-m", "commit %d" % i], cwd=where, env=env)
    quiet(["tar", "--sort=name", "--mtime=2020-01-01", "--owner=0", "--group=0", "-cf", "x.tar", "repository", "lines"], cwd=folder)
    quiet(["xz", "-k", "-1", "short"], cwd=folder)
    quiet(["gzip", "-k", "short"], cwd=folder)
    os.makedirs(os.path.join(folder, "package", "DEBIAN"))
    put("package/DEBIAN/control", "Package: many\nVersion: 1\nArchitecture: all\nMaintainer: n <n@e>\nDescription: d\n")
    shutil.copy(os.path.join(folder, "short"), os.path.join(folder, "package", "short"))
    quiet(["dpkg-deb", "--root-owner-group", "-b", "package", "many.deb"], cwd=folder)
    put("key.txt", "0123456789abcdef\n")


# name: program, arguments, modules (a `.` is the program itself)
C, M, CXXLIB = "libc.so.6", "libm.so.6", "libstdc++.so.6"
CASES = {
    "sqlite3": ("/usr/bin/sqlite3", ["-batch", "base.db", ".read script.sql"], ["libsqlite3.so.0", "libz.so.1", M, C, "."]),
    "sqlite3-dump": ("/usr/bin/sqlite3", [":memory:", ".read script.sql", ".dump"], ["libsqlite3.so.0"]),
    "python3": (PYTHON, ["-I", "script.py"], [".", C, M, "libz.so.1", "liblzma.so.5", "libcrypto.so.3", "libssl.so.3", "libsqlite3.so.0", "libexpat.so.1", "libbz2.so.1.0", "libffi.so.8", "*.cpython-*.so"]),
    "python3-own": (PYTHON, ["-I", "script.py"], ["."]),
    "python3-libc": (PYTHON, ["-I", "script.py"], [C]),
    "perl": ("/usr/bin/perl", ["script.pl"], [".", "libperl*", C, M]),
    "bash": ("/bin/bash", ["script.sh"], [".", "libtinfo.so.6", C]),
    "git-log": ("/usr/bin/git", ["-C", "repository", "log", "-p", "--stat", "--format=%H %s"], [".", C, "libpcre2-8.so.0", "libz.so.1"]),
    "git-grep": ("/usr/bin/git", ["-C", "repository", "grep", "-n", "-P", r"(?<=key)\d+7\b.*word$"], ["libpcre2-8.so.0", C]),
    "git-gc": ("/usr/bin/git", ["-C", "repository", "gc", "-q", "--prune=now"], ["libz.so.1", C]),
    "git-fsck": ("/usr/bin/git", ["-C", "repository", "fsck", "--full", "--strict"], [".", "libz.so.1", C]),
    "grep": ("/bin/grep", ["-cP", r"key(\d)\1\b.*(?:word ){2}", "lines"], [".", "libpcre2-8.so.0", C]),
    "xz": ("/usr/bin/xz", ["-k", "-T4", "-2", "--block-size=500KiB", "lines"], [".", "liblzma.so.5", C]),
    "unxz": ("/usr/bin/xz", ["-dk", "-T4", "--stdout", "short.xz"], [".", "liblzma.so.5", C]),
    "gzip": ("/usr/bin/gzip", ["-n", "-9", "lines"], [".", C]),
    "zstd": ("/usr/bin/zstd", ["-q", "-T4", "-5", "lines"], [".", "libzstd.so.1", "libz.so.1", "liblz4.so.1", C]),
    "bzip2": ("/usr/bin/bzip2", ["-k", "short"], [".", "libbz2.so.1.0", C]),
    "openssl-digest": ("/usr/bin/openssl", ["dgst", "-sha256", "-hmac", "k", "lines"], [".", "libcrypto.so.3", "libssl.so.3", C]),
    "openssl-encrypt": ("/usr/bin/openssl", ["enc", "-aes-256-cbc", "-pbkdf2", "-S", "0011223344556677", "-kfile", "key.txt", "-in", "short", "-out", "short.enc"], ["libcrypto.so.3", C]),
    "openssl-ciphers": ("/usr/bin/openssl", ["ciphers", "-v", "ALL"], ["libcrypto.so.3", "libssl.so.3"]),
    "openssl-prime": ("/usr/bin/openssl", ["prime", "-hex", "FFFFFFFFFFFFFFC5"], [".", "libcrypto.so.3", C]),
    "dpkg-deb": ("/usr/bin/dpkg-deb", ["-x", "many.deb", "unpacked"], [".", "liblzma.so.5", "libz.so.1", "libzstd.so.1", C]),
    "dpkg-deb-build": ("/usr/bin/dpkg-deb", ["--root-owner-group", "-Zgzip", "-b", "package", "other.deb"], [".", "libz.so.1", C]),
    "dpkg-query": ("/usr/bin/dpkg-query", ["-W", "-f", "${Package} ${Version} ${Status}\\n", "libc6", "bash", "git", "perl*"], [".", C]),
    "sort": ("/usr/bin/sort", ["--parallel=4", "-S", "2M", "-T", ".", "-k2,2", "-k1,1n", "lines"], [".", C, "libcrypto.so.3"]),
    "awk": ("/usr/bin/mawk", ["{ n[$2] += $1; w[NF]++ } END { for (i = 0; i < 977; i++) print i, n[\"key\" i]; for (i in w) s += w[i]; print s, sin(1), exp(2), substr(\"abcdef\", 2, 3); exit 5 }", "lines"], [".", C, M]),
    "tar": ("/bin/tar", ["-xf", "x.tar", "--one-top-level=out"], [".", C]),
    "tar-z": ("/bin/tar", ["-czf", "y.tar.gz", "--sort=name", "--mtime=2020-01-01", "repository"], [C]),
    "find": ("/usr/bin/find", ["repository", "package", "-type", "f", "-size", "+1", "-newermt", "2000-01-01", "-not", "-path", "*/objects/*", "-not", "-path", "*/logs/*", "-printf", "%p %s\\n", "-exec", "wc", "-c", "{}", "+"], [".", C, M]),
    "xmllint": ("/usr/bin/xmllint", ["--noent", "--format", "--xpath", "//item[v > 100]/name[contains(., '7')]", "x.xml"], [".", "libxml2.so.2", C, "liblzma.so.5", "libz.so.1"]),
    "xmllint-stream": ("/usr/bin/xmllint", ["--stream", "--valid", "--timing", "x.xml", "--noout"], ["libxml2.so.2"]),
    "jq": ("/usr/bin/jq", ["-r", '.[] | select(.v[0] % 7 == 2) | "\\(.id) \\(.name | test("[0-9]{3}")) \\(.v[1] | floor)"', "x.json"], [".", "libjq.so.1", "libonig.so.5", C, M]),
    "bc": ("/usr/bin/bc", ["-l", "-q", "sum.bc"], [".", C]),
    "curl": ("/usr/bin/curl", ["-s", "-S", "file:short", "-o", "copied"], [".", "libcurl.so.4", C, "libcrypto.so.3"]),
    "file": ("/usr/bin/file", ["-b", "x.tar", "short.xz", "short.gz", "many.deb", "cxx", "script.py", "x.xml"], [".", "libmagic.so.1", C, "liblzma.so.5"]),
    "ninja": ("/usr/bin/ninja", ["-j1"], [".", CXXLIB, C, "libgcc_s.so.1"]),
    "cmake": ("/usr/bin/cmake", ["-P", "x.cmake"], [CXXLIB, C, "libuv.so.1"]),
    "c++": ("./cxx", ["a"], [".", CXXLIB, C, M, "libgcc_s.so.1"]),
    "c++-library": ("./cxx", ["a"], [CXXLIB]),
    "c++-static": ("./cxx-static", ["a"], [".", C]),
    "gpg": ("/usr/bin/gpg", ["--batch", "--homedir", ".", "--print-md", "SHA512", "short"], [".", "libgcrypt.so.20", "libgpg-error.so.0", C]),
    "loader": ("/usr/bin/sqlite3", [":memory:", "select 1;"], ["ld-linux-x86-64.so.2", C]),
}


def environment(home):
    # Both debuggers' targets and the bare run see the same: GDB sets LINES and COLUMNS.
    return {"PATH": "/usr/bin:/bin", "HOME": home, "TERM": "dumb", "LANG": "C.UTF-8", "SHELL": "/bin/sh", "COLUMNS": "200", "LINES": "50", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e@e", "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "e@e", "GIT_AUTHOR_DATE": "1600000000 +0000",
            "GIT_COMMITTER_DATE": "1600000000 +0000", "GIT_PAGER": "cat", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PERL_HASH_SEED": "0", "TZ": "UTC", "SOURCE_DATE_EPOCH": "1600000000"}


# ---- running ----

def end_session(process):
    """What a killed debugger leaves behind: only processes of the session that was started here."""
    for entry in os.listdir("/proc"):
        try:
            with open("/proc/%d/stat" % int(entry), errors="replace") as file:
                if int(file.read().rsplit(")", 1)[1].split()[3]) == process.pid:
                    os.kill(int(entry), signal.SIGKILL)
        except (ValueError, OSError, IndexError):
            pass
    process.poll() is None and process.kill()
    process.wait()


def run(words, cwd, env, out, err, timeout):
    """(status, seconds); None as the status when it did not end."""
    start = time.monotonic()
    with open(out, "wb") as o, open(err, "wb") as e:
        process = subprocess.Popen(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=o, stderr=e, start_new_session=True)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        end_session(process)
    return status, time.monotonic() - start


def read(path):
    with open(path, "rb") as file:
        return file.read()


def tree_of(folder):
    """What a run left: names and contents, not what has times in it."""
    found = {}
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(where, name)
            if name not in ("index", "pubring.kbx", ".ninja_log") and not os.path.islink(path) and os.path.isfile(path):
                found[os.path.relpath(path, folder)] = hashlib.sha1(read(path)).hexdigest()
    return found


class Debugger:
    def __init__(self, name):
        self.name = name

    def words(self, program, arguments, before, out, err, after, switched=False):
        """A batch that does `before`, runs the program with its output in files, and does `after`."""
        if self.name == "gdb":
            line = "%s < /dev/null > %s 2> %s" % (shlex.join(arguments), out, err)
            words = ["gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set breakpoint pending on", "-ex", "source " + ROOT + "/gdb/gibbon.py"]
            steps = self.switching(line, before) if switched else before + ["run " + line] + after + ["bt 12", "x/6i $pc", "info threads"]
            option, program = "-ex", [program]
        else:
            line = "-i /dev/null -o %s -e %s -- %s" % (out, err, shlex.join(arguments))
            words = ["lldb-19", "-x", "-Q", "-b", "-o", "settings set auto-confirm true", "-o", "settings set use-color false", "-k", "bt 12", "-k", "x/6i $pc",
                     "-o", "command script import " + ROOT + "/lldb/gibbon.py"]
            steps = self.switching(line, before) if switched else before + ["process launch " + line] + after
            option, program = "-o", ["-f", program]
        for step in steps:
            words += [option, step]
        return words + program

    def switching(self, line, before):
        word = "python" if self.name == "gdb" else "script"
        return [word + " import sys; sys.path.insert(0, %r); import switching; switching.switch(%r, %r, 7)" % (os.path.dirname(os.path.abspath(__file__)), line, before)]

    def status(self, text):
        if self.name == "gdb":
            ends = re.findall(r"^\[Inferior 1 \(.*?\) exited (normally|with code (\d+))\]", text, re.M)
            return int(ends[-1][1] or "0", 8) if ends else None
        ends = re.findall(r"^Process \d+ exited with status = (-?\d+)", text, re.M)
        return int(ends[-1]) if ends else None


class Bench:
    def __init__(self, keep):
        self.home = tempfile.mkdtemp(prefix="every-export-", dir=keep)
        self.data, self.work = os.path.join(self.home, "data"), os.path.join(self.home, "work")
        os.makedirs(self.data)
        self.env = environment(self.home)
        make_data(self.data, self.env)
        with open(os.path.join(self.data, "sum.bc"), "w") as file:
            file.write("scale=60\n4*a(1)\ne(1)\ns(2)\nfor (i = 0; i < 200; i++) x += i^3 / 7\nx\nx2=2^500\nx2\nquit\n")
        self.bad = 0

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.data, self.work, symlinks=True)

    def bare(self, program, arguments):
        self.fresh()
        out, err = (os.path.join(self.home, x) for x in ("bare.out", "bare.err"))
        status, seconds = run(["setarch", "-R", program] + arguments, self.work, self.env, out, err, 120)
        return status, read(out), read(err), tree_of(self.work), seconds

    def session(self, debugger, program, arguments, before, timeout, name, switched=False):
        """(what was different, the transcript, seconds)"""
        self.fresh()
        base = os.path.join(self.home, name)
        out, err, log = base + ".out", base + ".err", base + ".log"
        for path in (out, err):
            open(path, "w").close()
        words = debugger.words(program, arguments, before, out, err, ["gibbon stats", "gibbon list"], switched)
        status, seconds = run(words, self.work, self.env, log, log + ".err", timeout)
        text = (read(log) + read(log + ".err")).decode("utf-8", "replace")
        with open(base + ".command", "w") as file:
            file.write("cd %s; %s\n" % (shlex.quote(self.work), shlex.join(words)))
        return status, debugger.status(text), read(out), read(err), tree_of(self.work), text, seconds


def unstable(data):
    """Durations that a program prints itself."""
    return re.sub(rb"(took|real|user|sys) [\d.]+ ?\w*", b"", data)


def differences(bare, session):
    ended, status, out, err, files, text, _ = session
    found = []
    if ended is None:
        found.append("did not end")
    elif ended < 0:
        found.append("the debugger died of signal %d" % -ended)
    if "Traceback" in text:
        found.append("a traceback")
    stop = re.search(r"(?!.*SIGINT)(Program received signal \w+|Thread .* received signal \w+|stop reason = (signal|exec|EXC)[^\n]*)", text)
    if stop and "SIGINT" not in stop.group():
        found.append(stop.group(1))
    if status != bare[0] and "\nended unseen" not in text:
        found.append("status %s, not %s" % (status, bare[0]))
    for what, one, other in (("output", bare[1], out), ("error output", bare[2], err)):
        if unstable(one) != unstable(other):
            found.append("%s differs (%d bytes, %d)" % (what, len(one), len(other)))
    if files != bare[3]:
        found.append("files differ: " + " ".join(sorted(set(files.items()) ^ set(bare[3].items()))[0][:1]))
    return found


def location(module, program, function):
    return "%s?!%s" % (os.path.basename(os.path.realpath(program)) if module == "." else module, function)


def summary(text):
    calls = sum(int(n) for n in re.findall(r"^\d+ +(\d+) +(?:\d+|-)  ", text, re.M))
    refused = sum(int(n) for n in re.findall(r"^ +(\d+) refused", text, re.M))
    lost = re.search(r"(\d+) records? w\w+ lost", text)
    switched = re.search(r"^switched \d+ times", text, re.M)
    return switched.group() if switched else "%d refused, %d calls%s" % (refused, calls, ", %s lost" % lost.group(1) if lost else "")


def all_at_once(bench, name, debuggers, modes, timeout):
    program, arguments, modules = CASES[name]
    path = program if program[0] == "/" else os.path.join(bench.work, program)
    if not os.path.exists(program if program[0] == "/" else os.path.join(bench.data, program)):
        print("%-18s %s is not here" % (name, program), flush=True)
        return
    bare = bench.bare(path, arguments)
    again = bench.bare(path, arguments)
    if (bare[0], unstable(bare[1]), unstable(bare[2]), bare[3]) != (again[0], unstable(again[1]), unstable(again[2]), again[3]):
        print("%-18s two bare runs differ; of no use" % name, flush=True)
        return
    for debugger in debuggers:
        for mode in modes:
            wraps = ["gibbon wrap %s %s" % (" ".join(shlex.quote(location(m, path, "*")) for m in modules), MODES[mode])]
            label = "%s-%s-%s" % (name, debugger.name, mode)
            session = bench.session(debugger, path, arguments, wraps, timeout, label, mode == "switched")
            found = differences(bare, session)
            bench.bad += bool(found)
            print("%-18s %-5s %-9s %-60s %6.1f s (bare %.2f)" % (name, debugger.name, mode, "DIFFERS: " + "; ".join(found) if found else "same: " + summary(session[5]), session[6], bare[4]), flush=True)
            if not found:
                for end in ("out", "err", "log", "log.err", "command"):
                    os.remove(os.path.join(bench.home, label + "." + end))


# ---- one at a time ----

def exports(path):
    """Names of the functions a file exports."""
    text = subprocess.run(["nm", "-D", "--defined-only", "--without-symbol-versions", path], capture_output=True, text=True).stdout
    return sorted({line.split()[2] for line in text.split("\n") if len(line.split()) == 3 and line.split()[1] in "TWi"})


def file_of(module, path):
    if module == ".":
        return os.path.realpath(path)
    found = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout
    match = re.search(r"^\s+%s .*x86-64.*=> (\S+)" % re.escape(module), found, re.M)
    return os.path.realpath(match.group(1)) if match else None


def one_at_a_time(bench, name, debuggers, modes, count, timeout):
    program, arguments, modules = CASES[name]
    path = program if program[0] == "/" else os.path.join(bench.work, program)
    bare = bench.bare(path, arguments)
    for module in modules:
        file = file_of(module, path)
        names = exports(file) if file else []
        if count and len(names) > count:
            names = [names[i * len(names) // count] for i in range(count)]
        for debugger in debuggers:
            for mode in modes:
                bad, refused = [], 0
                for function in names:
                    label = "%s-%s-%s-%s" % (name, debugger.name, mode, function)
                    session = bench.session(debugger, path, arguments, ["gibbon wrap %s %s" % (location(module, path, function), MODES[mode])], timeout, label)
                    found = differences(bare, session)
                    refused += "refused" in session[5] or "cannot be patched" in session[5]
                    if found:
                        bad.append(function)
                        print("%-18s %-5s %-9s DIFFERS with %s: %s" % (name, debugger.name, mode, function, "; ".join(found)), flush=True)
                    else:
                        for end in ("out", "err", "log", "log.err", "command"):
                            os.remove(os.path.join(bench.home, label + "." + end))
                bench.bad += len(bad)
                print("%-18s %-5s %-9s %s: %d functions one at a time, %d refused, %d differ" % (name, debugger.name, mode, module, len(names), refused, len(bad)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--debugger", action="append", choices=["gdb", "lldb"])
    parser.add_argument("-m", "--mode", action="append", choices=list(MODES))
    parser.add_argument("-1", "--one", type=int, metavar="N")
    parser.add_argument("-t", "--timeout", type=int, default=300)
    parser.add_argument("-k", "--keep", help="folder for what differed")
    parser.add_argument("case", nargs="*", help=" ".join(CASES))
    options = parser.parse_args()
    debuggers = [Debugger(d) for d in options.debugger or ["gdb", "lldb"]]
    unknown = set(options.case) - set(CASES)
    if unknown:
        sys.exit("unknown: %s" % " ".join(unknown))
    bench = Bench(options.keep)
    for name in options.case or CASES:
        if options.one is None:
            all_at_once(bench, name, debuggers, options.mode or ["count", "records"], options.timeout)
        else:
            one_at_a_time(bench, name, debuggers, options.mode or ["records"], options.one, options.timeout)
    shutil.rmtree(bench.work, ignore_errors=True)
    if bench.bad:
        print("%d differ; see %s" % (bench.bad, bench.home))
    else:
        shutil.rmtree(bench.home)
    sys.exit(min(bench.bad, 100))


main()
