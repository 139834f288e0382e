"""Members out of an Excel file: read, check, write down, enqueue; what is wrong comes back.

`package` reads files that may be hostile as a stream, `parts` and `sheet` take `cells` out of it;
`headers` and `columns` find out which column is which, and `workbook` puts them together. `ids`, `links`
and `rows` say what a row holds or why that is not sure, `members` puts the rows of a member together,
`errors` writes the workbook that comes back, and `run` is the story.

openpyxl writes, and lends its tables of formats; it does not read: with bounded memory it knows no
links and no merged cells, and nothing bounds its shared texts.
"""
