"""Members out of an Excel file: read, check, write down, enqueue; what is wrong comes back.

`columns` knows the headers, `workbook` opens files that may be hostile, `links` finds the addresses
behind cells, `rows` makes a member of a row or says why not, `errors` writes the workbook that
comes back, and `run` is the story.
"""
