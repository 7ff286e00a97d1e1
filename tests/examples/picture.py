"""Writes a BMP of few colours, as SDL_SaveBMP() makes it, as an SVG: python3 picture.py BMP SVG
With --check, says instead whether the SVG shows that, but for the last row of tiles, where a bar
moves: python3 picture.py --check BMP SVG"""
import struct
import sys

TILE = 20  # pixels, see examples/game_frame.c


def pixels(path):
    """Rows of colours, the uppermost first."""
    with open(path, 'rb') as f:
        data = f.read()
    offset, = struct.unpack_from('<I', data, 10)
    width, height, _, bits = struct.unpack_from('<iiHH', data, 18)
    step = bits // 8
    pitch = (width * step + 3) // 4 * 4
    rows = []
    for y in range(abs(height)):
        at = offset + y * pitch
        rows.append(['#%02x%02x%02x' % (data[i + 2], data[i + 1], data[i])
                     for i in range(at, at + width * step, step)])
    return rows[::-1] if height > 0 else rows


def rectangles(rows, ground):
    """(colour, x, y, width, height) of what differs from the ground: runs of a row, grown down."""
    height, width = len(rows), len(rows[0])
    done = [[False] * width for _ in rows]
    for y in range(height):
        x = 0
        while x < width:
            colour = rows[y][x]
            if colour == ground or done[y][x]:
                x += 1
                continue
            right = x
            while right < width and rows[y][right] == colour and not done[y][right]:
                right += 1
            down = y + 1
            while down < height and rows[down][x:right] == [colour] * (right - x):
                down += 1
            for i in range(y, down):
                done[i][x:right] = [True] * (right - x)
            yield colour, x, y, right - x, down - y
            x = right


def svg(rows):
    ground = rows[0][0]
    paths = {}
    for colour, x, y, w, h in rectangles(rows, ground):
        paths.setdefault(colour, {}).setdefault(y // TILE, []).append(
            'M%d %dh%dv%dh-%dz' % (x, y, w, h, w))
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">'
             % (len(rows[0]), len(rows)), '<path fill="%s" d="M0 0h%dv%dh-%dz"/>'
             % (ground, len(rows[0]), len(rows), len(rows[0]))]
    for colour in sorted(paths):
        for row, parts in sorted(paths[colour].items()):
            lines.append('<path fill="%s" d="%s"/><!-- %d -->' % (colour, ''.join(parts), row))
    return lines + ['</svg>']


def main(arguments):
    check = arguments[0] == '--check'
    bmp, path = arguments[check:]
    lines = svg(pixels(bmp))
    if not check:
        with open(path, 'w', encoding='ascii') as f:
            f.write('\n'.join(lines) + '\n')
        return 0
    last = '<!-- %d -->' % (len(pixels(bmp)) // TILE - 1)
    with open(path, encoding='ascii') as f:
        shown = f.read().split('\n')[:-1]
    return [s for s in lines if not s.endswith(last)] != [s for s in shown if not s.endswith(last)]


sys.exit(main(sys.argv[1:]))
