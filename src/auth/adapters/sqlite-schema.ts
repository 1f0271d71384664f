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
];
