import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AddressRangeError, clientNetwork, parseTrustedProxies } from "./client-network.ts";

const none = parseTrustedProxies("");
const proxies = parseTrustedProxies("127.0.0.6, 10.0.0.0/8, fd00::/8");
const from = (peerAddress: string, forwardedFor?: string, trusted = none): string | undefined =>
  clientNetwork({ peerAddress, ...(forwardedFor === undefined ? {} : { forwardedFor }) }, trusted);

describe("the network of a client", () => {
  it("is an IPv4 address, or the /64 of an IPv6 address however it is written", () => {
    assert.equal(from("203.0.113.7"), "203.0.113.7");
    for (const address of ["2001:db8:1:2::1", "2001:DB8:1:2:ffff::", "2001:0db8:0001:0002:3:4:5:6"]) {
      assert.equal(from(address), "2001:db8:1:2::/64");
    }
    assert.equal(from("2001:db8::1"), "2001:db8:0:0::/64");
    assert.equal(from("::1"), "0:0:0:0::/64");
    assert.notEqual(from("2001:db8:1:3::1"), "2001:db8:1:2::/64");
  });

  it("is the same for IPv4 that is wrapped in IPv6", () => {
    for (const address of ["::ffff:203.0.113.7", "::ffff:cb00:7107", "64:ff9b::203.0.113.7"]) {
      assert.equal(from(address), "203.0.113.7");
    }
  });

  it("has no zone", () => {
    assert.equal(from("fe80::1%eth0"), "fe80:0:0:0::/64");
  });

  it("is not taken from a peer that is no trusted proxy", () => {
    assert.equal(from("203.0.113.7", "198.51.100.1"), "203.0.113.7");
    assert.equal(from("203.0.113.7", "198.51.100.1", proxies), "203.0.113.7");
  });

  it("is the last that a trusted proxy does not vouch for", () => {
    assert.equal(from("10.1.2.3", "198.51.100.1", proxies), "198.51.100.1");
    assert.equal(from("10.1.2.3", "1.1.1.1, 198.51.100.1,10.9.9.9 , 127.0.0.6", proxies), "198.51.100.1");
    assert.equal(from("::ffff:10.1.2.3", "fd00::1, 2001:db8::5, fd00::2", proxies), "2001:db8:0:0::/64");
    assert.equal(from("10.1.2.3", "198.51.100.1:4711", proxies), "198.51.100.1");
    assert.equal(from("10.1.2.3", "[2001:db8::5]:4711", proxies), "2001:db8:0:0::/64");
  });

  it("is unknown when a trusted proxy tells nothing that is an address", () => {
    for (const told of [undefined, "", "unknown", "10.9.9.9", "198.51.100.1, nonsense", "1.2.3", "x".repeat(9_000)]) {
      assert.equal(from("10.1.2.3", told, proxies), undefined);
    }
    assert.equal(from("unknown"), undefined);
  });

  for (const list of ["10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/8/8", "proxy.example", "10.0.0"]) {
    it(`is not told by "${list}", which is no range`, () => {
      assert.throws(() => parseTrustedProxies(list), AddressRangeError);
    });
  }
});
