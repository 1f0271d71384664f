/** Tables of policy-service, for migrate(). Append only. Times are milliseconds since the epoch; the rest is JSON. */
export const policyMigrations: readonly string[] = [
  `
  CREATE TABLE revisions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    content_hash TEXT NOT NULL UNIQUE,
    create_time INTEGER NOT NULL,
    comment TEXT NOT NULL,
    policy_count INTEGER NOT NULL,
    source TEXT NOT NULL
  ) STRICT;
  CREATE TABLE policy_state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    generation INTEGER NOT NULL,
    state TEXT NOT NULL
  ) STRICT;
  CREATE TABLE shadow_reports (
    replica TEXT PRIMARY KEY,
    comparison TEXT NOT NULL,
    report TEXT NOT NULL
  ) STRICT;
  CREATE TABLE entities (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    entity TEXT NOT NULL,
    PRIMARY KEY (type, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE entity_revision (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    revision INTEGER NOT NULL
  ) STRICT;
  INSERT INTO entity_revision VALUES (1, 0);
  `,
];
