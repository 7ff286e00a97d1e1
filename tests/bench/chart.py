"""The flash figures as bars. Grey text and no background, so that it can be read on light and dark."""

OURS, PEER, TEXT = '#2f81f7', '#9a9a9a', '#7c7c7c'
LEFT, RIGHT, ROW = 268, 560, 18


def rows(report):
    """Groups of (title, [(name, bytes on M0+, bytes on M4, ours?)])."""
    ours, peers = report['ours'], report['peers']

    def own(key, title):
        return (title, ours['m0plus']['programs'][key]['bytes'],
                ours['m4']['programs'][key]['bytes'], True)

    def beside(*kinds):
        return [(name, p['bytes']['m0plus'], p['bytes']['m4'], False)
                for name, p in peers.items() if p['beside'] in kinds]

    return [
        ('A client: HTTP, JSON, base64',
         [own('execute.bare', 'unsandbox.h, unsb_execute alone'),
          own('operations.bare', 'unsandbox.h, every operation'),
          own('everything.full', 'with signing, texts, JSON writer')] +
         [(n + ' (no JSON writer)', a, b, o) for n, a, b, o in beside('execute')]),
        ('HTTP responses', [own('http', 'unsandbox.h')] + beside('http')),
        ('JSON', [own('json-reader', 'unsandbox.h, reader'), own('json-writer', 'unsandbox.h, writer')]
         + [(n + (' (tokens alone)' if n == 'jsmn' else ' (and malloc, strtod ...)'), a, b, o)
            for n, a, b, o in beside('json', 'json-reader')]),
        ('base64, both ways', [own('base64', 'unsandbox.h')] + beside('base64')),
    ]


def draw(report):
    groups = rows(report)
    most = max(max(a, b) for _, bars in groups for _, a, b, _ in bars)
    out, y = [], 42
    for title, bars in groups:
        y += 8
        out.append('<text x="0" y="%d" font-weight="bold">%s</text>' % (y + 10, title))
        y += ROW
        for name, m0plus, m4, ours in bars:
            out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + 11, name))
            for i, size in enumerate((m0plus, m4)):
                out.append('<rect x="%d" y="%d" width="%.1f" height="6" fill="%s"%s/>' % (
                    LEFT, y + 1 + 7 * i, (RIGHT - LEFT) * size / most, OURS if ours else PEER,
                    ' fill-opacity=".55"' if i else ''))
            out.append('<text x="%.1f" y="%d">%s / %s</text>' % (
                LEFT + (RIGHT - LEFT) * max(m0plus, m4) / most + 6, y + 11, format(m0plus, ','),
                format(m4, ',')))
            y += ROW
    head = ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 %d" font-family="sans-serif" '
            'font-size="12" fill="%s" role="img">\n<title>Flash of unsandbox.h and its peers</title>\n'
            '<text x="0" y="14" font-size="14" font-weight="bold">Bytes of flash, code and constants, '
            'Cortex-M0+ / Cortex-M4</text>\n'
            '<text x="0" y="32">gcc -Os, linked with --gc-sections; the C library not counted</text>\n'
            % (y + 8, TEXT))
    return head + '\n'.join(out) + '\n</svg>\n'
