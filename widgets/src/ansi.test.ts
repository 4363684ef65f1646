// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { plain } from "./ansi";

function shown(text: string): string {
  const box = document.createElement("div");
  box.append(plain(text));
  return box.innerHTML;
}

test.each([
  ["a colour", "a\u001b[31mb\u001b[0mc", 'a<span class="fb-ansi-red">b</span>c'],
  ["bold and bright", "\u001b[1;92mok", '<span class="fb-ansi-bold fb-ansi-green">ok</span>'],
  [
    "another colour after",
    "\u001b[31ma\u001b[32mb\u001b[39mc",
    '<span class="fb-ansi-red">a</span><span class="fb-ansi-green">b</span>c',
  ],
  ["256 colours", "\u001b[38;5;31mx", "x"],
  ["millions of colours", "\u001b[38;2;1;31;4mx", "x"],
  ["a cursor move", "\u001b[2K\u001b[1Gx", "x"],
  ["a window title", "\u001b]0;title\u0007x", "x"],
  ["a link", "\u001b]8;;javascript:alert(1)\u001b\\x\u001b]8;;\u001b\\", "x"],
  ["HTML", "<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"],
  ["line ends", "a\n\tb\r\nc", "a\n\tb\nc"],
])("%s is rendered, never shown", (_, text, html) => {
  expect(shown(text)).toBe(html);
});
