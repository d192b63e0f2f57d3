/** What the command line itself can fail with. Its exit code is 2: the input is to be changed. */
import { line } from "@spikeroute/core/text"
import { Data } from "effect"

/** An argument, a config file or a run directory that cannot be used. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly reason: string }> {
  override get message(): string {
    return line(this.reason)
  }
}
