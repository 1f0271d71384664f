/**
 * Folds a user name so that names which look alike to their owners are one: NFKC, then full case folding (Unicode 16,
 * section 3.13.3, D145), then NFKC again.
 *
 * JavaScript has no case folding. Lower, upper and lower again, one code point at a time (a final sigma depends on its
 * neighbours), falls into the same classes; the dotless i alone would join the dotted one.
 */
export function foldUserName(name: string): string {
  let folded = "";
  for (const character of name.normalize("NFKC")) {
    folded += character === "ı" ? character : character.toLowerCase().toUpperCase().toLowerCase();
  }
  return folded.normalize("NFKC");
}
