import { ConfigError } from "./config.ts";

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;

/**
 * Holds the demo profile to the loopback address. `hosts` are addresses by the variables that set them.
 *
 * @throws ConfigError naming each that is not loopback.
 */
export function assertLoopback(hosts: Readonly<Record<string, string>>): void {
  const problems = Object.entries(hosts)
    .filter(([, host]) => !loopback.test(host))
    .map(([env]) => `${env} must be a loopback address with GATEHOUSE_PROFILE=demo: its passwords are public`);
  if (problems.length > 0) throw new ConfigError(problems);
}
