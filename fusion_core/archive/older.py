"""Rows of earlier versions: what was made by them stands until it is asked for anew.

When a version of this software gives other pixels, the hash of the same settings changes, or that
of the weights with the same name. Their older hashes are known, so an upgrade neither makes an
archive anew unasked nor hides what is old.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds


def split_by_version(
    rows: pa.Table,
    settings_hash: str,
    hashes_before: Sequence[str],
    *,
    model_hash: str | None = None,
    models_before: Sequence[str] = (),
) -> tuple[pa.Table, pa.Table]:
    """Split rows into those of settings and model, and the successful ones of earlier versions.

    Args:
        rows: ``settings_hash``, ``status``, ``model_hash`` where that is given, and any others.
        settings_hash: That of the settings.
        hashes_before: Those that the same settings had. Rows of theirs that failed are left out:
            another version may succeed.
        model_hash: That of the model. None: whatever the model.
        models_before: Those of the weights that the model's name stood for before; likewise.
    """
    settings = ds.field("settings_hash").isin([settings_hash, *hashes_before])
    own = ds.field("settings_hash") == settings_hash
    if model_hash is not None:
        settings &= ds.field("model_hash").isin([model_hash, *models_before])
        own &= ds.field("model_hash") == model_hash
    return rows.filter(own), rows.filter(settings & ~own & (ds.field("status") == "ok"))


def standing_rows(own: pa.Table, older: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return all rows of an archive some of whose images are of an earlier version.

    Args:
        own: Rows of the settings, as of ``split_by_version``.
        older: Successful rows of earlier versions, likewise.
        key: Columns that tell one from another. Where the settings have a successful row, older
            ones of the same key are left out; where they have none, theirs are.
    """
    if not len(older):
        return own
    ok = own.filter(pc.equal(own["status"], "ok")).select(list(key))
    older = older.join(ok, list(key), join_type="left anti").select(own.column_names)
    renewed = own.join(older.select(list(key)), list(key), join_type="left anti")
    return pa.concat_tables([renewed.select(own.column_names), older])


def mark_older(items: pa.Table, older: pa.Table | None, key: Sequence[str]) -> pa.Table:
    """Add the columns ``older`` and ``untried`` to what a plan is made of.

    Args:
        items: Pairs or images joined with what is known of attempts, ``done`` among it, which is
            null where there was none.
        older: Successful rows of earlier versions.
        key: Columns that tell one from another.

    Returns:
        The items. ``older``: an earlier version's image of them is the newest there is;
        ``untried``: and no attempt was made at them since.
    """
    if older is None:
        never = pa.chunked_array([pa.repeat(False, len(items))])
        return items.append_column("older", never).append_column("untried", never)
    made = older.group_by(list(key)).aggregate([])
    made = made.append_column("made", pa.chunked_array([pa.repeat(True, len(made))]))
    items = items.join(made, list(key), join_type="left outer")
    done = pc.fill_null(items["done"], False)
    stands = pc.and_not(pc.fill_null(items["made"], False), done)
    untried = pc.and_(stands, pc.is_null(items["done"]))
    return items.append_column("older", stands).append_column("untried", untried)
