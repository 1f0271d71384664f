/** Tells the time, in milliseconds since the epoch. */
export type Clock = () => number;

/** Answers so many unpredictable bytes. */
export type RandomBytes = (size: number) => Uint8Array;
