"""Photos for reviewers: fetched through the worker's own fetcher, made anew, and held in memory alone.

`loading` fetches the photos of a case, and `cache` holds what `pictures` makes of each: the face, with its
eyes where those of every other face are, and the whole photo. `service` gives them to whoever has the case,
marked with that person's name and the minute (`watermark`), after a record has been written.
"""
