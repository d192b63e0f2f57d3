/** A file format to fuzz: a small valid folder and its reader. */
export interface Format {
  readonly name: string
  /** The files of a valid folder, by path. */
  readonly files: Readonly<Record<string, Uint8Array | string>>
  /** The files to mutate; by default, all. */
  readonly changed?: ReadonlyArray<string>
  /** For files that are mutated in unpacked form: unpack and repack functions. */
  readonly unpack?: (bytes: Uint8Array) => Uint8Array
  readonly pack?: (bytes: Uint8Array) => Uint8Array
  /** Corrects lengths and checksums after a mutation, so that the code behind those checks is reached; applied to half of the files. */
  readonly repair?: (bytes: Uint8Array) => Uint8Array
  /**
   * Reads the folder and everything in it. Rejects with the reader's typed error, or with an untagged error if the data read is wrong.
   * Removes any files that it writes below `directory`.
   */
  readonly read: (directory: string) => Promise<void>
}
