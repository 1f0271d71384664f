/** Tables of auth-service, for migrate(). Append only. Times are milliseconds since the epoch; lists and maps are JSON. */
export const authMigrations: readonly string[] = [
  `
  CREATE TABLE users (
    name TEXT PRIMARY KEY,
    roles TEXT NOT NULL,
    attributes TEXT NOT NULL,
    password_hash TEXT,
    disabled INTEGER NOT NULL,
    create_time INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE sessions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    amr TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    last_used_time INTEGER NOT NULL,
    idle_expire_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX sessions_of_user ON sessions (user, create_time, sequence);
  CREATE INDEX sessions_by_expiry ON sessions (idle_expire_time);
  `,
  `
  ALTER TABLE users ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE users ADD COLUMN session_epoch INTEGER NOT NULL DEFAULT 0;
  UPDATE users SET version = create_time, session_epoch = create_time;
  ALTER TABLE sessions ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
  UPDATE sessions SET epoch = coalesce((SELECT session_epoch FROM users WHERE name = sessions.user), 0);
  CREATE TABLE api_keys (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    key_hash TEXT NOT NULL,
    display_name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER,
    last_used_time INTEGER
  ) STRICT;
  CREATE INDEX api_keys_of_user ON api_keys (user, create_time, sequence);
  `,
];
