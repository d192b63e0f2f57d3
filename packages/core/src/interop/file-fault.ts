/**
 * Why a file cannot be read, and the byte offset of the fault. Thrown by the readers and converted to a CheckpointError at their
 * boundary.
 */
export class FileFault {
  readonly reason: string
  readonly offset: number
  constructor(reason: string, offset = 0) {
    this.reason = reason
    this.offset = offset
  }
}
