/* sample.cc: a C++ library whose functions the tests of core/elf know. */
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#define KEEP __attribute__((noinline, used))

volatile long sink;

namespace ns
{
struct Plain { int a; double b; };
struct Destroyed { ~Destroyed(); int a; };
struct Holder { Destroyed inside; };
struct Copied { Copied(const Copied &); Copied(); int a; };
struct Defaulted { Defaulted() = default; Defaulted(const Defaulted &) = default; ~Defaulted() = default; int a; };
struct Virtual { virtual KEEP int method(int); virtual ~Virtual() = default; long v; };
struct Empty {};
struct Base { long a; };
struct Derived : Base { double d; };
Destroyed::~Destroyed() { sink++; }
Copied::Copied(const Copied &other) : a(other.a) { sink++; }
Copied::Copied() : a(1) {}
int Virtual::method(int n) { return n + v; }

enum class Mode : unsigned char { off, on = 255 };

class Class
{
  public:
    Class();
    int method(int n);
    int method(const char *text) const;
    static int shared(unsigned int n, Mode mode);
    bool operator<(const Class &other) const;
    int operator()(int n, int m);
    operator bool() const;
    template <typename T> T convert(T value);
    long field;
};

KEEP Class::Class() : field(1) { sink++; }
KEEP int Class::method(int n) { sink += n; return n + field; }
KEEP int Class::method(const char *text) const { sink += text[0]; return field; }
KEEP int Class::shared(unsigned int n, Mode mode) { sink += n + (int)mode; return n; }
KEEP bool Class::operator<(const Class &other) const { sink++; return field < other.field; }
KEEP int Class::operator()(int n, int m) { sink += n; return m; }
KEEP Class::operator bool() const { sink++; return field; }
template <typename T> KEEP T Class::convert(T value) { sink += value; return value; }
template int Class::convert<int>(int);
template unsigned long Class::convert<unsigned long>(unsigned long);

/* Its constructors have hidden parameters: the one for a part of an object is passed a table. */
struct Diamond : virtual Base { Diamond(int n); int own; };
KEEP Diamond::Diamond(int n) : own(n) { sink += n; }

KEEP void values(Plain plain, Destroyed destroyed, Holder holder, Copied copied, Defaulted defaulted, Virtual virt, Empty empty, Derived derived)
{
    sink += plain.a + destroyed.a + holder.inside.a + copied.a + defaulted.a + virt.v + derived.d;
}
KEEP void references(Plain &plain, const Class &c, std::string &&text, std::nullptr_t null, int Class::*member, int (Class::*call)(int))
{
    sink += plain.a + c.field + text.size() + (member != nullptr) + (call != nullptr);
}
} // namespace ns

namespace
{
KEEP int hidden(int n) { sink += n; return n; }
} // namespace

KEEP int free_function(int n, std::vector<int> v) { sink += n + v.size(); return hidden(n); }
KEEP int free_function(unsigned n) { sink += n; return n; }
template <typename T> KEEP std::vector<T> make(T value) { sink++; return std::vector<T>(3, value); }
template std::vector<int> make<int>(int);
KEEP int operator"" _units(unsigned long long n) { sink += n; return n; }
extern "C" KEEP int c_name(const char *text) { return text[0]; }
