/** Why a file cannot be read, and the byte at which that was seen: thrown by readers, and made a CheckpointError at their border. */
export class FileFault {
  readonly reason: string
  readonly offset: number
  constructor(reason: string, offset = 0) {
    this.reason = reason
    this.offset = offset
  }
}
