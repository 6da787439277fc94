// The tables and views of a database (docs/exports.md).
#include "export/sqlite_priv.h"

const char *const sqlite_tables[] = {
    "PRAGMA user_version = 1",
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
    "CREATE TABLE note(text TEXT NOT NULL) STRICT",
    "CREATE TABLE module(id INTEGER PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL) STRICT",
    "CREATE TABLE type(id INTEGER PRIMARY KEY, name TEXT NOT NULL, mt INTEGER NOT NULL, module "
    "INTEGER REFERENCES module, base_size INTEGER NOT NULL, component_size INTEGER NOT NULL, "
    "count INTEGER NOT NULL, size INTEGER NOT NULL, live_count INTEGER NOT NULL, live_size "
    "INTEGER NOT NULL, retained INTEGER NOT NULL) STRICT",
    "CREATE TABLE generation(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    "CREATE TABLE life(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    "CREATE TABLE owner(id INTEGER PRIMARY KEY, label TEXT NOT NULL, kind TEXT, name TEXT, "
    "thread INTEGER, objects INTEGER NOT NULL, retained INTEGER NOT NULL) STRICT",
    "CREATE TABLE root(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, object INTEGER NOT NULL, type "
    "INTEGER REFERENCES type, slot INTEGER, name TEXT, thread INTEGER, method TEXT, place TEXT, "
    "conservative INTEGER NOT NULL, pinned INTEGER NOT NULL, interior INTEGER NOT NULL) STRICT",
    "CREATE TABLE holder(id INTEGER PRIMARY KEY, text TEXT NOT NULL, type INTEGER NOT NULL "
    "REFERENCES type, count INTEGER NOT NULL, size INTEGER NOT NULL, retained INTEGER NOT NULL) "
    "STRICT",
    "CREATE TABLE path(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES path, root_kind TEXT, "
    "root_name TEXT, field TEXT, type INTEGER REFERENCES type, repeats INTEGER NOT NULL, holder "
    "INTEGER REFERENCES holder, count INTEGER NOT NULL, size INTEGER NOT NULL, retained INTEGER "
    "NOT NULL) STRICT",
    "CREATE TABLE handle(id INTEGER PRIMARY KEY, address INTEGER NOT NULL, kind TEXT NOT NULL, "
    "object INTEGER NOT NULL, type INTEGER REFERENCES type, secondary INTEGER) STRICT",
    "CREATE TABLE object(address INTEGER PRIMARY KEY, type INTEGER REFERENCES type, size INTEGER "
    "NOT NULL, generation INTEGER REFERENCES generation, life INTEGER NOT NULL REFERENCES life, "
    "retained INTEGER, objects INTEGER, dominator INTEGER REFERENCES object, owner INTEGER "
    "REFERENCES owner, path INTEGER REFERENCES path) STRICT",
    NULL,
};

const char *const sqlite_all_tables[] = {
    "CREATE TABLE field(id INTEGER PRIMARY KEY, type INTEGER REFERENCES type, name TEXT NOT "
    "NULL) STRICT",
    "CREATE TABLE edge(holder INTEGER NOT NULL REFERENCES object, object INTEGER NOT NULL "
    "REFERENCES object, field INTEGER NOT NULL REFERENCES field, count INTEGER NOT NULL, PRIMARY "
    "KEY(holder, object)) STRICT, WITHOUT ROWID",
    NULL,
};

const char *const sqlite_views[] = {
    "CREATE INDEX object_by_type ON object(type)",
    "CREATE INDEX object_by_dominator ON object(dominator) WHERE dominator IS NOT NULL",
    "CREATE INDEX object_by_path ON object(path) WHERE path IS NOT NULL",
    "CREATE INDEX root_by_object ON root(object)",
    "CREATE INDEX path_by_parent ON path(parent)",
    "CREATE INDEX path_by_holder ON path(holder)",
    // `dumpheap -stat`, and what of it is alive.
    "CREATE VIEW histogram AS SELECT printf('%012x', t.mt) AS mt, t.count, t.size, t.live_count, "
    "t.live_size, t.count - t.live_count AS rest_count, t.size - t.live_size AS rest_size, "
    "t.retained, t.name AS type, m.name AS module FROM type t LEFT JOIN module m ON m.id = "
    "t.module ORDER BY t.size DESC, t.count DESC, t.name",
    // `retained`: what no other object dominates.
    "CREATE VIEW biggest AS SELECT o.retained, o.objects, o.size, printf('%012x', o.address) AS "
    "address, t.name AS type, w.label AS held_by FROM object o JOIN owner w ON w.id = o.owner "
    "LEFT JOIN type t ON t.id = o.type ORDER BY o.retained DESC, o.address",
    // `retained -tree`: what an object alone holds.
    "CREATE VIEW dominated AS SELECT printf('%012x', d.address) AS dominator, dt.name AS "
    "dominator_type, o.retained, o.objects, o.size, printf('%012x', o.address) AS address, "
    "t.name AS type FROM object o JOIN object d ON d.address = o.dominator LEFT JOIN type t ON "
    "t.id = o.type LEFT JOIN type dt ON dt.id = d.type",
    // `retained -by root`
    "CREATE VIEW owners AS SELECT retained, objects, kind, name, nullif(printf('%x', thread), "
    "'0') AS thread, label FROM owner WHERE id > 0 ORDER BY retained DESC, label",
    // Where types come from.
    "CREATE VIEW modules AS SELECT m.name AS module, m.path, count(*) AS types, sum(t.count) AS "
    "count, sum(t.size) AS size, sum(t.live_count) AS live_count, sum(t.live_size) AS live_size "
    "FROM type t LEFT JOIN module m ON m.id = t.module GROUP BY t.module ORDER BY 5 DESC",
    // `gcroot -type`: how many of a type are held, and by what.
    "CREATE VIEW holders AS SELECT h.count, t.live_count AS of, h.size, h.retained, t.name AS "
    "type, h.text AS held_by FROM holder h JOIN type t ON t.id = h.type ORDER BY h.retained "
    "DESC, h.text, t.name",
    // The same field by field.
    "CREATE VIEW paths AS WITH RECURSIVE step(id, text) AS ( SELECT p.id, p.root_kind || "
    "coalesce(' ' || p.root_name, '') || ' -> ' || coalesce(t.name, '<unknown>') FROM path p "
    "LEFT JOIN type t ON t.id = p.type WHERE p.parent IS NULL UNION ALL SELECT p.id, s.text || ' "
    "[' || p.field || '] -> ' || coalesce(t.name, '<unknown>') || iif(p.repeats, ' (and more of "
    "them)', '') FROM step s JOIN path p ON p.parent = s.id LEFT JOIN type t ON t.id = p.type) "
    "SELECT p.id, p.count, p.size, p.retained, t.name AS type, s.text AS path FROM step s JOIN "
    "path p ON p.id = s.id LEFT JOIN type t ON t.id = p.type",
    // Every root and what it holds.
    "CREATE VIEW roots AS SELECT r.kind, printf('%012x', r.object) AS object, t.name AS type, "
    "r.name, nullif(printf('%x', r.thread), '0') AS thread, r.method, r.place, r.conservative "
    "FROM root r LEFT JOIN type t ON t.id = r.type ORDER BY r.id",
    // `gchandles`
    "CREATE VIEW handles AS SELECT printf('%012x', h.address) AS handle, h.kind, printf('%012x', "
    "h.object) AS object, t.name AS type, nullif(printf('%012x', h.secondary), '000000000000') "
    "AS secondary FROM handle h LEFT JOIN type t ON t.id = h.type ORDER BY h.id",
    NULL,
};

const char *const sqlite_all_views[] = {
    "CREATE INDEX edge_by_object ON edge(object)",
    // Who refers to what, and by which field.
    "CREATE VIEW edges AS SELECT printf('%012x', e.holder) AS holder, ht.name AS holder_type, "
    "f.name AS field, e.count, printf('%012x', e.object) AS object, ot.name AS object_type FROM "
    "edge e JOIN object h ON h.address = e.holder JOIN object o ON o.address = e.object JOIN "
    "field f ON f.id = e.field LEFT JOIN type ht ON ht.id = h.type LEFT JOIN type ot ON ot.id = "
    "o.type",
    NULL,
};
