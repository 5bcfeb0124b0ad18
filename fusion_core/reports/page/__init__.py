"""Pages for people: the report of a run, the list of nights, and the comparison of methods.

Each is one HTML file that needs no network and no script, made from plain data. Start reading at
``report`` for a night and at ``nights`` for their list.
"""
