"""The tables, as a list of migrations: a store of any age is brought up to the last one.

Times for people are ISO 8601 text in UTC; `not_before` and `lease_until` are monotonic seconds of the
boot that wrote them and mean nothing to another one.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE boots (
        boot_id TEXT PRIMARY KEY,
        started_at TEXT NOT NULL,
        ended_cleanly INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL UNIQUE,
        client_id TEXT NOT NULL,
        client TEXT NOT NULL,
        name TEXT NOT NULL,
        preset TEXT NOT NULL,
        parameters TEXT NOT NULL,
        output TEXT NOT NULL,
        interactive INTEGER NOT NULL,
        control TEXT NOT NULL DEFAULT 'open' CHECK (control IN ('open', 'paused', 'cancelled')),
        created_at TEXT NOT NULL,
        finished_at TEXT,
        idempotency_key TEXT,
        request_sha256 TEXT NOT NULL,
        UNIQUE (client_id, idempotency_key)
    );
    CREATE INDEX jobs_open ON jobs (interactive DESC, seq) WHERE finished_at IS NULL AND control = 'open';
    CREATE TABLE items (
        job TEXT NOT NULL REFERENCES jobs (job),
        item INTEGER NOT NULL,
        ref TEXT NOT NULL,
        source TEXT NOT NULL,
        source_name TEXT NOT NULL,
        upload TEXT,
        output TEXT NOT NULL,
        preset TEXT NOT NULL,
        parameters TEXT NOT NULL,
        faces_given TEXT,
        compose TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'done', 'failed', 'cancelled')),
        paused INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0,
        alone INTEGER NOT NULL DEFAULT 0,
        not_before REAL,
        lease_id TEXT,
        lease_boot TEXT,
        lease_until REAL,
        stage TEXT,
        promise TEXT,
        error TEXT,
        seconds TEXT NOT NULL DEFAULT '{}',
        result TEXT,
        result_name TEXT,
        result_bytes INTEGER,
        available INTEGER NOT NULL DEFAULT 0,
        faces TEXT,
        verdict TEXT NOT NULL DEFAULT 'none' CHECK (verdict IN ('none', 'accepted', 'rejected', 'redo')),
        note TEXT NOT NULL DEFAULT '',
        reviewed_at TEXT,
        reviewed_by TEXT,
        redone_as INTEGER,
        redo_of INTEGER,
        queued_at TEXT NOT NULL,
        finished_at TEXT,
        fetched_at TEXT,
        acked_at TEXT,
        audited INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (job, item),
        CHECK ((state = 'leased') = (lease_id IS NOT NULL))
    );
    CREATE UNIQUE INDEX items_ref ON items (job, ref) WHERE redo_of IS NULL;
    CREATE INDEX items_by_state ON items (job, state, item);
    CREATE INDEX items_leased ON items (lease_id) WHERE lease_id IS NOT NULL;
    CREATE INDEX items_queued ON items (job, item) WHERE state = 'queued' AND paused = 0;
    CREATE INDEX items_by_preset ON items (preset, verdict) WHERE state = 'done';
    CREATE INDEX items_available ON items (finished_at) WHERE available = 1;
    CREATE INDEX items_result ON items (result_name) WHERE available = 1;
    CREATE INDEX items_upload ON items (upload) WHERE upload IS NOT NULL;
    CREATE INDEX items_unaudited ON items (finished_at)
        WHERE audited = 0 AND state IN ('done', 'failed', 'cancelled');
    -- Kept by the triggers below, so that a job of any size is counted by a handful of rows.
    CREATE TABLE counted (
        job TEXT NOT NULL,
        state TEXT NOT NULL,
        paused INTEGER NOT NULL,
        verdict TEXT NOT NULL,
        acked INTEGER NOT NULL,
        items INTEGER NOT NULL,
        PRIMARY KEY (job, state, paused, verdict, acked)
    ) WITHOUT ROWID;
    CREATE TRIGGER items_added AFTER INSERT ON items BEGIN
        INSERT INTO counted VALUES (NEW.job, NEW.state, NEW.paused, NEW.verdict, NEW.acked_at IS NOT NULL, 1)
            ON CONFLICT DO UPDATE SET items = items + 1;
    END;
    CREATE TRIGGER items_moved AFTER UPDATE OF state, paused, verdict, acked_at ON items BEGIN
        UPDATE counted SET items = items - 1 WHERE job = OLD.job AND state = OLD.state
            AND paused = OLD.paused AND verdict = OLD.verdict AND acked = (OLD.acked_at IS NOT NULL);
        INSERT INTO counted VALUES (NEW.job, NEW.state, NEW.paused, NEW.verdict, NEW.acked_at IS NOT NULL, 1)
            ON CONFLICT DO UPDATE SET items = items + 1;
    END;
    CREATE TABLE uploads (
        upload TEXT PRIMARY KEY,
        client_id TEXT NOT NULL,
        name TEXT NOT NULL,
        size INTEGER,
        sha256 TEXT,
        created_at TEXT NOT NULL
    );
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        body TEXT NOT NULL
    );
    """,
    "CREATE INDEX items_put_off ON items (not_before) WHERE not_before IS NOT NULL;",
)
