"""Destructive requests wait for a code that goes another way: 428, and the request once more."""

import collections
import hmac
import secrets
import threading

from wire import Refusal

_OPEN_LIMIT = 64


class Sudo:
    """`code` is what the owner of a key is thought to have got by e-mail. None: nothing waits."""

    def __init__(self, code):
        self._code = code
        self._lock = threading.Lock()
        self._open = collections.OrderedDict()

    def check(self, ticket):
        if self._code is None:
            return
        request = ticket.request
        what = (ticket.owner, request.method, request.path)
        code = request.header("x-sudo-otp")
        challenge = request.header("x-sudo-challenge")
        if code is None and challenge is None:
            raise self._challenge(what)
        with self._lock:
            if challenge is None or self._open.get(challenge) != what:
                raise Refusal(403, "invalid_challenge", "this challenge is not of this request")
            if code is None or not hmac.compare_digest(code, self._code):
                raise Refusal(403, "invalid_otp", "the code is wrong")
            del self._open[challenge]

    def _challenge(self, what):
        challenge = "chal_" + secrets.token_hex(12)
        with self._lock:
            self._open[challenge] = what
            while len(self._open) > _OPEN_LIMIT:
                self._open.popitem(last=False)
        return Refusal(428, "sudo_required", "a code has been sent; repeat the request with it",
                       challenge_id=challenge)
