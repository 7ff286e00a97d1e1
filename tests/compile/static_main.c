typedef void (*any_function)(void);
any_function copy_one(unsigned i);
any_function copy_two(unsigned i);

int main(void)
{
    unsigned i, n = 0;

    for (i = 0; copy_one(i); i++)
        n += copy_one(i) != copy_two(i);
    return n == i && copy_two(i) == 0 ? 0 : 1;
}
