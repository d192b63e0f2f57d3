/** What `readShd` and its process say to each other. */

/** What the process is told: a file of so many bytes, and how many classes its labels may name. */
export interface Task {
  readonly file: string
  readonly bytes: number
  readonly classes: number
}

/** Stands where a count is expected, for a file that is malformed. */
export const fault = 0xffffffff

/** Input channels: those of the simulated inner ear. */
export const channels = 700

/** Recordings of a file at most: of SHD, the training file has 8,156; of the larger SSC, 75,466. */
export const mostRecordings = 2 ** 17
