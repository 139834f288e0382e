"""Import of members from an Excel file: read, check, store, request; what is wrong comes back.

`package` reads the zip file, which may be hostile, as a stream; `sheet` takes rows of `cells` out of it;
`columns` finds the header and which column is which; `workbook` puts these together. `ids` and `links` read
single cells, `members` a member's rows; `error_workbook` writes what comes back; `run` is the import.

openpyxl writes, and its tables of formats are used; it does not read: with bounded memory it knows no
links and no merged cells, and it bounds no shared texts.
"""
