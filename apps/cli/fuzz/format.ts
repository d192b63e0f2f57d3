/** A format of files that the fuzzer changes: a small good folder, and how it is read. */
export interface Format {
  readonly name: string
  /** What a good folder holds, by path. */
  readonly files: Readonly<Record<string, Uint8Array | string>>
  /** Those of them that are changed; unless told, all. */
  readonly changed?: ReadonlyArray<string>
  /** For files that are changed unpacked: how they are unpacked and packed again. */
  readonly unpack?: (bytes: Uint8Array) => Uint8Array
  readonly pack?: (bytes: Uint8Array) => Uint8Array
  /** Sets lengths and checksums of changed bytes right, so that what lies behind them is read; half of the files go through it. */
  readonly repair?: (bytes: Uint8Array) => Uint8Array
  /**
   * Reads the folder, and all that is in it. Rejects with the reader's own typed error; with an error without a tag if what was read is not
   * right. What it writes below `directory` it removes.
   */
  readonly read: (directory: string) => Promise<void>
}
