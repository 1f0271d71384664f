/** `gh_` and 48 bytes in base64url; auth-service says what they are. */
const apiKeyForm = /^gh_[A-Za-z0-9_-]{64}$/;

/**
 * Whether a text has the form of an API key, mistyped or not. The prefix alone would not do: session tokens, which are
 * shorter, begin with the partition of their user, and so those of some users with `gh_`.
 */
export function looksLikeApiKey(text: string): boolean {
  return apiKeyForm.test(text);
}
