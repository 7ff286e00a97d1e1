"""What the measurements need to know of unsandbox.h, read off its text, so that a change of its
private functions needs no change here: its sections, its public functions and structs, and which
pointers to functions are the user's."""
import bisect
import re

TAG = re.compile(r'^ \* >>([a-z0-9-]+)')
STARTS = r'^(?:static|UNSB_API|UNSBI_APART|UNSBI_CALLED)\b'  # of a definition
FUNCTION = re.compile(STARTS + r'[^;{}=]*?\b(unsbi?_\w+)\s*\(([^;{}]*?)\)\s*(\{|;)', re.M)
POINTER = re.compile(r'\(\*(\w+)\)\(([^;]*?)\);')


def types(parameters):
    """The types of a parameter list, without the names."""
    found = []
    for parameter in parameters.split(','):
        words = re.findall(r'\w+|\*', parameter)
        if len(words) > 1 and words[-1] != '*':
            words = words[:-1]
        found.append(' '.join(w for w in words if w not in ('const', 'struct')))
    return tuple(found)


class Header:
    def __init__(self, path):
        with open(path, encoding='ascii') as f:
            self.text = f.read()
        self.lines = self.text.split('\n')
        self.starts, self.tags = [1], ['manual']
        for number, line in enumerate(self.lines, 1):
            tag = TAG.match(line)
            if tag and (self.lines[number - 2].startswith('/* ====') or self.tags[-1] == 'history'):
                self.starts.append(number)
                self.tags.append(tag.group(1))
        if 'end-of-api' not in self.tags:
            raise SystemExit('unsandbox.h has no >>end-of-api')
        end = self.text.index(' * >>end-of-api', self.text.index('#endif /* UNSANDBOX_H */'))
        self.public, self.private = self.text[:end], self.text[end:]
        self.functions = {}  # name: types of its parameters
        for match in FUNCTION.finditer(self.text):
            self.functions[match.group(1)] = types(match.group(2))
        # pointers to functions in the public structs are the user's callbacks and ports
        self.callbacks = {m.group(1) for m in POINTER.finditer(self.public)}
        self.pointers = {m.group(1): types(m.group(2)) for m in POINTER.finditer(self.private)}
        # typedef int type(parameters); and what is declared as a type *
        for name, parameters in re.findall(r'^typedef \w+ (\w+)\(([^()]*)\);', self.private, re.M):
            for pointer in re.findall(r'\b%s \*(\w+)' % name, self.private):
                self.pointers[pointer] = types(parameters)

    def section(self, line):
        return self.tags[bisect.bisect_right(self.starts, line) - 1]

    def section_of(self, name):
        """Of the definition of a function or of constant data; None if there is none."""
        pattern = re.compile(STARTS + r'[^;{}]*?\b%s\b\s*(?:\([^;{}]*\)\s*\{|\[[^;]*?=|=)'
                             % re.escape(name), re.M)
        match = pattern.search(self.private) or \
            re.search(r'^ +static const\b[^;{}=]*\b%s\b' % re.escape(name), self.private, re.M)
        if not match:
            return None
        at = len(self.public) + match.end()
        return self.section(self.text.count('\n', 0, at) + 1)

    def api(self, section=None):
        """The public functions in order: of one section, or all."""
        names = []
        for match in FUNCTION.finditer(self.public):
            line = self.public.count('\n', 0, match.start()) + 1
            if section is None or self.section(line) == section:
                names.append(match.group(1))
        return names

    def takes(self, struct, section=None):
        """The public functions whose first argument is that struct."""
        return [n for n in self.api(section) if self.functions[n][0] == struct + ' *']

    def structs(self):
        return [n for n in re.findall(r'^} (unsb_\w+);', self.public, re.M)
                if re.search(r'typedef struct %s\b' % n, self.public)]

    def called(self, line, column):
        """The name of the pointer through which the call at a place in the text is made."""
        rest = '\n'.join([self.lines[line - 1][column - 1:]] + self.lines[line:line + 3])
        call = re.compile(r'(->|\.)?(\b[a-z]\w*)(?:\[[^\]]*\])*\)?\s*\(')
        for member, name in call.findall(rest.split(';')[0]):
            if member or (name not in self.functions and name not in ('if', 'while', 'return')):
                return name
        return None

    def assigned(self, pointer):
        """What the initialisers of constants give a pointer in a struct: a set of functions, or None
        where that cannot be told: it is assigned elsewhere, too, or not by position."""
        struct = re.search(r'\bstruct (unsbi_\w+) \{([^{}]*\(\*%s\)[^{}]*)\}' % pointer, self.private)
        if not struct or re.search(r'(?:->|\.)%s = ' % pointer, self.private):
            return None
        body = re.sub(r'/\*.*?\*/', '', struct.group(2), flags=re.S)
        fields = []
        for declaration in body.split(';'):
            function = re.search(r'\(\*(\w+)\)\(', declaration)
            names = [function.group(1)] if function else \
                [re.findall(r'\w+', d)[-1] for d in declaration.split(',') if d.strip()]
            fields += names
        found = set()
        uses = re.findall(r'^ *static const %s [^;=]*= *\{([^;]*)\};' % struct.group(1), self.private,
                          re.M)
        for values in uses:
            values = re.sub(r'/\*.*?\*/', '', values, flags=re.S)
            for row in re.findall(r'\{([^{}]*)\}', values) or [values]:
                cells = [c.strip() for c in row.split(',')]
                if len(cells) > len(fields):
                    return None
                at = fields.index(pointer)
                cell = cells[at] if at < len(cells) else 'NULL'
                if cell in self.functions:
                    found.add(cell)
                elif cell not in ('NULL', '0'):
                    return None
        return found if uses else None
