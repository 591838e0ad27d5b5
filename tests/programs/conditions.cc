// Member functions, references and the rest of C++, for conditions.
#include <cstdio>
#include <cstring>
#include <string>

#define NOT_INLINED __attribute__((noinline))

namespace zoo {
enum class Kind : unsigned char { Cat, Dog = 4, Owl };
struct Name {
    char text[12];
    int length;
};
class Animal {
  public:
    Animal(int id, Kind kind, const char *name) : id(id), kind(kind), alive(id % 2)
    {
        snprintf(this->name.text, sizeof this->name.text, "%s", name);
        this->name.length = static_cast<int>(strlen(name));
    }
    virtual ~Animal() {}
    NOT_INLINED virtual int feed(int grams, const Name &by);
    NOT_INLINED bool older(const Animal *than, double years) const;

  protected:
    int id;
    Kind kind;
    bool alive;
    Name name;
    static int count;
};
int Animal::count = 3;
class Bird : public Name, public Animal {
  public:
    Bird(int id, double span) : Name{"bird", 4}, Animal(id, Kind::Owl, "owl"), span(span) {}
    NOT_INLINED int feed(int grams, const Name &by) override;

  private:
    double span;
};
int Animal::feed(int grams, const Name &by)
{
    __asm__ volatile("" : "+r"(grams) : : "memory");
    return grams + id + by.length;
}
bool Animal::older(const Animal *than, double years) const
{
    __asm__ volatile("" : : "r"(than) : "memory");
    return than && id > than->id + years;
}
int Bird::feed(int grams, const Name &by)
{
    __asm__ volatile("" : "+r"(grams) : : "memory");
    count++;
    return grams * 2 + by.length + (span > 1);
}
template <typename T> NOT_INLINED T twice(T value)
{
    __asm__ volatile("" : "+r"(value));
    return value + value;
}
} // namespace zoo

namespace park {
struct Spot {
    int row;
    static int used;
};
int Spot::used = 7;
int visitors = 3;
} // namespace park
using park::Spot;
using park::visitors;
using zoo::Kind;
namespace p = park;

NOT_INLINED long place(Kind kind, const Spot &spot, Spot *other, long n)
{
    __asm__ volatile("" : : "r"(&spot), "r"(other) : "memory");
    Spot::used++;
    visitors += static_cast<int>(n & 1);
    return spot.row + static_cast<int>(kind) + n;
}

int main()
{
    zoo::Animal cat(3, zoo::Kind::Cat, "tom"), dog(8, zoo::Kind::Dog, "rex");
    zoo::Bird owl(5, 1.25), wren(6, 0.5);
    zoo::Animal *all[] = {&cat, &dog, &owl, &wren};
    zoo::Name names[] = {{"ann", 3}, {"bob", 30}, {"", 0}};
    long sum = 0;
    for (int i = 0; i < 24; i++) {
        sum += all[i % 4]->feed(i * 10 - 50, names[i % 3]);
        sum += all[(i + 1) % 4]->older(i % 5 ? all[(i + 2) % 4] : nullptr, i / 8.0);
        Spot spot = {i}, other = {i / 2};
        sum += place(i % 3 ? Kind::Owl : Kind::Dog, spot, i % 4 ? &other : nullptr, i % 5);
        sum += zoo::twice(i) + zoo::twice(static_cast<short>(-i));
    }
    printf("%ld\n", sum);
    return 0;
}
