"""The index of keys: what planning needs to know of all rows ever published, sorted by pair.

It is a narrow copy of the manifest, or of the scores, in shards that are merged as they grow, so
that a night looks up its own pairs and nothing else. It holds nothing that the published files
don't: ``rebuild`` makes it anew from them. Start reading at ``state``.
"""
