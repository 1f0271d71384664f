import type { DatabaseSync, StatementSync } from "node:sqlite";

const tables = `
CREATE TABLE IF NOT EXISTS bus_message (
  -- AUTOINCREMENT: the number of a deleted row is never given again.
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  previous INTEGER NOT NULL,
  target TEXT,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS bus_message_topic ON bus_message (topic, position);
CREATE TABLE IF NOT EXISTS bus_group (
  topic TEXT NOT NULL,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (topic, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bus_pending (
  topic TEXT NOT NULL,
  grp TEXT NOT NULL,
  position INTEGER NOT NULL,
  consumer TEXT NOT NULL,
  deliveries INTEGER NOT NULL,
  delivered_at INTEGER NOT NULL,
  PRIMARY KEY (topic, grp, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bus_dead_letter (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  grp TEXT NOT NULL,
  position INTEGER NOT NULL,
  body BLOB NOT NULL,
  error TEXT NOT NULL,
  deliveries INTEGER NOT NULL,
  dead_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS bus_dead_letter_topic ON bus_dead_letter (topic, id);
`;

const queries = {
  append: `INSERT INTO bus_message (topic, previous, target, body) VALUES (:topic,
    coalesce((SELECT max(position) FROM bus_message WHERE topic = :topic), 0), :target, :body)`,
  last: "SELECT max(position) AS position FROM bus_message WHERE topic = ?",
  lastOfAll: "SELECT max(position) AS position FROM bus_message",
  count: "SELECT count(*) AS count FROM bus_message WHERE topic = ?",
  read: `SELECT position, previous, target, body FROM bus_message
    WHERE topic = ? AND position > ? ORDER BY position LIMIT ?`,
  // Of a group, everything from its first pending message on is still needed, or else everything after its position.
  trim: `DELETE FROM bus_message WHERE topic = :topic
    AND position <= (SELECT position FROM bus_message WHERE topic = :topic ORDER BY position DESC LIMIT 1 OFFSET :keep)
    AND position <= coalesce((SELECT min(position) FROM bus_group WHERE topic = :topic), 9223372036854775807)
    AND position < coalesce((SELECT min(position) FROM bus_pending WHERE topic = :topic), 9223372036854775807)`,
  createGroup: "INSERT OR IGNORE INTO bus_group (topic, name, position) VALUES (?, ?, 0)",
  group: "SELECT position FROM bus_group WHERE topic = ? AND name = ?",
  moveGroup: "UPDATE bus_group SET position = ? WHERE topic = ? AND name = ?",
  groups: `SELECT name,
    (SELECT count(*) FROM bus_message m WHERE m.topic = g.topic AND m.position > g.position) AS lag,
    (SELECT count(*) FROM bus_pending p WHERE p.topic = g.topic AND p.grp = g.name) AS pending
    FROM bus_group g WHERE topic = ? ORDER BY name`,
  deliver: `INSERT INTO bus_pending (topic, grp, position, consumer, deliveries, delivered_at) VALUES (?, ?, ?, ?, 1, ?)`,
  idle: `SELECT m.position, m.previous, m.target, m.body, p.deliveries
    FROM bus_pending p JOIN bus_message m ON m.position = p.position
    WHERE p.topic = ? AND p.grp = ? AND p.delivered_at <= ? ORDER BY p.position LIMIT ?`,
  redeliver: `UPDATE bus_pending SET consumer = ?, delivered_at = ?, deliveries = deliveries + 1
    WHERE topic = ? AND grp = ? AND position = ?`,
  touch: "UPDATE bus_pending SET delivered_at = ? WHERE topic = ? AND grp = ? AND position = ? AND consumer = ?",
  acknowledge: "DELETE FROM bus_pending WHERE topic = ? AND grp = ? AND position = ?",
  bury: `INSERT INTO bus_dead_letter (topic, grp, position, body, error, deliveries, dead_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  countDead: "SELECT count(*) AS count FROM bus_dead_letter WHERE topic = ?",
  listDead: "SELECT * FROM bus_dead_letter WHERE topic = ? AND id > ? ORDER BY id LIMIT ?",
  dead: "SELECT grp, body FROM bus_dead_letter WHERE topic = ? AND id = ?",
  discard: "DELETE FROM bus_dead_letter WHERE topic = ? AND id = ?",
} as const;

/** Creates the bus's tables where they are missing, and prepares its statements. */
export function prepareBusStatements(database: DatabaseSync): Record<keyof typeof queries, StatementSync> {
  database.exec(tables);
  const names = Object.keys(queries) as (keyof typeof queries)[];
  return Object.fromEntries(names.map((name) => [name, database.prepare(queries[name])])) as Record<
    keyof typeof queries,
    StatementSync
  >;
}
