import assert from "node:assert/strict";
import { test } from "node:test";
import { forwardedClientUri } from "./forwarded-client-cert.ts";

const own = 'By=spiffe://mesh/ns/a/sa/proxy;Hash=aa;Subject="";URI=spiffe://mesh/ns/a/sa/web';

for (const [name, header, expected] of [
  ["one element", own, "spiffe://mesh/ns/a/sa/web"],
  ["the last of several", `By=x;URI=spiffe://mesh/ns/z/sa/admin,${own}`, "spiffe://mesh/ns/a/sa/web"],
  ["keys in any case", "uri=spiffe://mesh/w", "spiffe://mesh/w"],
  ["quoted values with separators", 'Subject="CN=a,O=\\"b; c\\"";URI="spiffe://mesh/w"', "spiffe://mesh/w"],
  ["spaces around elements", ` By=x , URI=spiffe://mesh/w `, "spiffe://mesh/w"],
  ["other names beside", "DNS=a.example;URI=spiffe://mesh/w;DNS=b.example", "spiffe://mesh/w"],
  ["no URI in the last", `${own},By=x;Hash=aa`, undefined],
  ["two URIs in the last", "URI=spiffe://mesh/a;URI=spiffe://mesh/b", undefined],
  ["nothing", "", undefined],
  ["an empty element at the end", `${own},`, undefined],
  ["an empty element before", `,${own}`, undefined],
  ["an empty pair", `${own};`, undefined],
  ["an unknown key", `Uri2=x;${own}`, undefined],
  ["a key without a value", "urix", undefined],
  ["a value that is quoted in part", 'URI="spiffe://mesh/w"x', undefined],
  ["a quote inside of a value", 'URI=spiffe://mesh/"w"', undefined],
  ["an open quote before, which swallows the rest", `Subject="x,${own}`, undefined],
  ["an open quote and an escape before", `Subject="x\\,${own}`, undefined],
  [
    "an open quote before, and an escaped one in the subject of the last",
    'URI=spiffe://mesh/ns/z/sa/admin;Subject="x,By=x;Hash=aa;Subject="CN=a\\"b";URI=spiffe://mesh/ns/a/sa/web',
    undefined,
  ],
  ["more than any header holds", `${"URI=spiffe://mesh/w,".repeat(2_000)}URI=spiffe://mesh/w`, undefined],
] as const) {
  test(`x-forwarded-client-cert with ${name}`, () => {
    assert.equal(forwardedClientUri(header), expected);
  });
}
