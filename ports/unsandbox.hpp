/* unsandbox.hpp - unsandbox_desktop.h for C++11: RAII, std::string and lambdas
 *
 *     #define UNSANDBOX_IMPLEMENTATION      (in one file of the program)
 *     #include "unsandbox.hpp"              (it includes unsandbox_desktop.h)
 *
 *     unsandbox::client client;
 *     unsandbox::outcome o = client.run("python", "print(6 * 7)");
 *     std::cout << (o ? o.out : o.why);
 *
 * Nothing here throws but what callbacks throw, and std::bad_alloc. A callback that throws ends the
 * operation, its connection included; the exception reaches the caller of run(), and the client can
 * be used again. Where exceptions are switched off it is as if callbacks never threw.
 *
 * C++ that throws through the library needs its implementation compiled as C++ (as above), or as C
 * with -fexceptions. */
#ifndef UNSANDBOX_HPP
#define UNSANDBOX_HPP

#include "unsandbox_desktop.h"
#include <functional>
#include <memory>
#include <string>

namespace unsandbox {

/* Gets a piece of output; true: go on, false: stop (UNSB_E_SINK). */
typedef std::function<bool(const char *data, std::size_t size)> sink;

struct outcome {
    int rc = UNSB_OK;      /* of the call: UNSB_OK, or an error */
    bool success = false;  /* the program ran and exited with 0 */
    int exit_code = 0;
    std::string out, err;  /* what no sink took */
    std::string job_id;
    std::string why;       /* with no success: what happened, and what may help */
    explicit operator bool() const { return rc == UNSB_OK && success; }
};

/* One blocking client; of one thread at a time. Movable, not copyable. */
class client {
public:
    explicit client(const unsb_desktop_options &options = unsb_desktop_options())
        : desktop_(new unsb_desktop()), rc_(UNSB_OK)
    {
        unsb_desktop_options blocking = options;
        blocking.nonblocking = false;
        rc_ = unsb_desktop_open(desktop_.get(), &blocking);
    }

    /* UNSB_OK, or why it cannot be used; every run() returns it then. */
    int status() const { return rc_; }
    /* For all that this class has not. */
    unsb_desktop &desktop() { return *desktop_; }

    outcome run(const std::string &language, const std::string &code, const sink &out = sink(),
                const sink &err = sink())
    {
        unsb_program program = unsb_program();
        program.language = language.c_str();
        program.code = unsb_bytes(code.data(), static_cast<unsb_size>(code.size()));
        return run(program, out, err);
    }

    /* `program` as unsb_execute() takes it. */
    outcome run(const unsb_program &program, const sink &out = sink(), const sink &err = sink())
    {
        outcome o;
        unsb_result result = unsb_result();
        target to_out = {&o.out, &out}, to_err = {&o.err, &err};
        char text[UNSB_DESKTOP_TEXT];

        result.out.write = result.err.write = write;
        result.out.context = &to_out;
        result.err.context = &to_err;
        o.rc = rc_;
        if (o.rc == UNSB_OK) {
            guard stop = {desktop_.get(), true};
            o.rc = unsb_execute(&desktop_->client, &program, &result);
            stop.armed = false;
        }
        o.success = result.success;
        o.exit_code = static_cast<int>(result.exit_code);
        o.job_id = result.job_id;
        if (!o) {
            o.why = unsb_desktop_explain(desktop_.get(), o.rc, &result, text, sizeof text);
        }
        return o;
    }

private:
    struct closer {
        void operator()(unsb_desktop *desktop) const
        {
            unsb_desktop_close(desktop);
            delete desktop;
        }
    };
    /* After an exception the operation stands where it was. */
    struct guard {
        unsb_desktop *desktop;
        bool armed;
        ~guard()
        {
            if (armed) {
                unsb_abort(&desktop->client);
            }
        }
    };
    struct target {
        std::string *text;
        const sink *to;
    };

    static int write(void *context, const void *data, std::size_t size)
    {
        target *t = static_cast<target *>(context);
        if (*t->to) {
            return (*t->to)(static_cast<const char *>(data), size) ? UNSB_OK : UNSB_E_SINK;
        }
        if (size == 0) { /* the service gives it anew */
            t->text->clear();
        }
        t->text->append(static_cast<const char *>(data), size);
        return UNSB_OK;
    }

    std::unique_ptr<unsb_desktop, closer> desktop_;
    int rc_;
};

} // namespace unsandbox

#endif
