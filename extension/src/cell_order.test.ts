import { describe, expect, it } from "vitest";
import { checksum } from "./cell_order";

describe("checksum", () => {
  it.each([
    ["", 1],
    ["Wikipedia", 0x11e60398],
    ["x = 'é €😀'", 957745031],
  ])("of %j is that of zlib", (text, known) => expect(checksum(text)).toBe(known));
});
