"""PDF files written by the letter of ISO 32000-1, with text, a form field, and what a test asks for."""

WORDS = "Upright pages are read from the top"


def pdf(rotations=(0,), trailer=b"", text=True, extra=()):
    """A PDF with a page for each rotation: 200 x 300 points, a dark square at its upper left, text and a form field."""
    count = len(rotations)
    first = 5  # objects: 1 catalog, 2 pages, 3 font, 4 field, then a page and its contents by turns
    kids = b" ".join(b"%d 0 R" % (first + 2 * i) for i in range(count))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(value)/Rect[10 10 90 30]/P 5 0 R>>",
    ]
    for i, rotation in enumerate(rotations):
        said = b"BT /F1 10 Tf 10 100 Td (%s %d) Tj ET" % (WORDS.encode(), i + 1) if text else b""
        stream = b"0 0 0 rg 0 200 66 100 re f " + said
        rotate = b"/Rotate %d" % rotation if rotation else b""
        page = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 300]/Resources<</Font<</F1 3 0 R>>>>/Annots[4 0 R]%s/Contents %d 0 R>>"
        )
        objects.append(page % (rotate, first + 2 * i + 1))
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    return _file([*objects, *extra], trailer)


def locked():
    """A PDF that asks for a password: nobody knows it."""
    encryption = b"<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>" % (b"ab" * 32, b"cd" * 32)
    return pdf(trailer=b"/Encrypt 7 0 R/ID[<00><00>]", extra=[encryption])


def _file(objects, trailer):
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, len(out))
    return out + head + table + end
