/** The error of the command line itself. Its exit code is 2: the user has to change the input. */
import { line } from "@spikeroute/core/text"
import { Data } from "effect"

/** An argument, a config file or a run directory that cannot be used. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly reason: string }> {
  override get message(): string {
    return line(this.reason)
  }
}
