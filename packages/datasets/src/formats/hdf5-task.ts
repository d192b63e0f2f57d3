/** What `readHdf5` and its process say to each other. */

/** What the process is told: a file of so many bytes; of SHD's layout, how many classes its labels may name, or of one recording of events. */
export type Task = { readonly file: string; readonly bytes: number } & (
  | { readonly kind: "shd"; readonly classes: number }
  | { readonly kind: "events" }
)

/** Stands where a count is expected, for a file that is malformed. */
export const fault = 0xffffffff

/** Input channels of SHD: those of the simulated inner ear. */
export const channels = 700

/** Recordings of a file at most: of SHD, the training file has 8,156; of the larger SSC, 75,466. */
export const mostRecordings = 2 ** 17
