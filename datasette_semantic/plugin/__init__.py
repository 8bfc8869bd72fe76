"""The Datasette face: routes, permissions, facets and templates over the search journey.

Nothing here runs SQL or a model on the event loop: models are called in a thread of their own before SQLite is touched,
SQL runs in Datasette's executor under its time limit.
"""
