/** Tables of keys, tokens and OAuth clients, for migrate(). Append only. Times are milliseconds since the epoch. */
export const tokenMigrations: readonly string[] = [
  `
  CREATE TABLE signing_keys (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    keys TEXT NOT NULL
  ) STRICT;
  CREATE TABLE refresh_families (
    session_id TEXT PRIMARY KEY,
    series TEXT NOT NULL,
    current TEXT NOT NULL,
    previous TEXT NOT NULL,
    issue_time INTEGER NOT NULL,
    successor TEXT NOT NULL,
    client TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expire_time INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX refresh_families_by_expiry ON refresh_families (expire_time);
  CREATE TABLE revoked_tokens (
    id TEXT PRIMARY KEY,
    expire_time INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expire_time);
  CREATE TABLE revoked_subjects (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX revoked_subjects_by_expiry ON revoked_subjects (expire_time);
  CREATE TABLE used_assertions (
    id TEXT PRIMARY KEY,
    expire_time INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX used_assertions_by_expiry ON used_assertions (expire_time);
  CREATE TABLE oauth_clients (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE begun_revocations (
    id TEXT PRIMARY KEY,
    time INTEGER NOT NULL,
    document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX begun_revocations_by_time ON begun_revocations (time);
  `,
];
