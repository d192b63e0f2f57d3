/** Protocol between `readHdf5` and its child process. */

/** A request: a file, its size in bytes, and its layout: SHD's, with the number of classes, or one recording of events. */
export type Task = { readonly file: string; readonly bytes: number } & (
  | { readonly kind: "shd"; readonly classes: number }
  | { readonly kind: "events" }
)

/** Written in place of a count if the file is malformed. */
export const fault = 0xffffffff

/** Number of input channels of SHD's simulated inner ear. */
export const channels = 700

/** Greatest number of recordings in a file. SHD's training file has 8,156, that of the larger SSC 75,466. */
export const mostRecordings = 2 ** 17
