/** Runs a command as the main program of the process: error output and exit codes. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { quote } from "@spikeroute/core/text"
import { launchedRank } from "@spikeroute/distributed/launched"
import { Cause, Effect, Layer, Option, Runtime } from "effect"
import { type CliError, CliOutput, Command } from "effect/cli"
import { complain, logger, say, speakAs, speaks } from "./terminal.ts"

const expected: Readonly<Record<string, string>> = {
  "Expected a string representing a finite number": "a number",
  "Expected an integer": "a whole number",
}

/** Words errors in flags like errors in settings instead of using the decoder's text. */
const messageOf = (error: CliError.CliError): string => {
  if (error._tag !== "InvalidValue") return error.message
  const named = `${error.kind === "flag" ? "--" : ""}${error.option}`
  if (error.value.endsWith("occurrences")) return `${named} is given more than once`
  return `${named} is ${quote(error.value)}; it must be ${expected[error.expected] ?? error.expected}`
}

/** An invalid invocation prints one line per error and no help page. */
const presenter = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.forEach(event.errors, (error) => say(`error: ${messageOf(error)}`), { discard: true })
      : CliOutput.defaultPresenter.present(event),
})

/** Failures of the run itself, as opposed to invalid input. */
const ofTheRun = new Set([
  "NonFiniteLossError",
  "NonFiniteTensorError",
  "BackendError",
  "CommunicatorError",
  "VerificationFailed",
  "WorkerFailed",
  "GateError",
  "NotTimedError",
  "RegressionError",
])

const bug = "error: spikeroute has a bug here; please report it with what is printed under SPIKEROUTE_DEBUG=1"

/** Handles exceptions thrown outside effects, for example in a library's callback. */
const onUncaught = (error: unknown): never => {
  process.stderr.write(`${process.env.SPIKEROUTE_DEBUG && error instanceof Error ? `${error.stack}\n` : ""}${bug}\n`)
  process.exit(1)
}

/** Reports a failure in one line. Exit code 2 means that the input must be changed. SPIKEROUTE_DEBUG=1 also prints the details of bugs. */
const report = (cause: Cause.Cause<unknown>): Effect.Effect<never, { readonly [Runtime.errorExitCode]: number }> =>
  Effect.gen(function* () {
    const error = Option.getOrUndefined(Cause.findErrorOption(cause)) as
      | { _tag?: unknown; message?: unknown }
      | undefined
    const tag = typeof error?.message === "string" && error._tag !== "UnknownError" ? error._tag : undefined
    if (process.env.SPIKEROUTE_DEBUG) process.stderr.write(`${Cause.pretty(cause)}\n`)
    // If all processes fail alike, rank 0 reports first and ends the others.
    if (!speaks()) yield* Effect.sleep("500 millis")
    if (typeof tag !== "string") {
      yield* complain(bug)
      return yield* Effect.fail({ [Runtime.errorExitCode]: 1 })
    }
    if (tag !== "ShowHelp") yield* complain(`error: ${error?.message}`)
    return yield* Effect.fail({ [Runtime.errorExitCode]: ofTheRun.has(tag) ? 1 : 2 })
  })

/** Exit codes: 0 on success, 1 if the run failed or hit a bug, 2 for invalid input, 130 after Ctrl-C. */
export const runMain = <Name extends string, Input, Context, E>(
  command: Command.Command<Name, Input, Context, E, NodeServices.NodeServices>,
): void => {
  if (process.argv.includes("--distributed")) speakAs(launchedRank() ?? 0)
  process.on("uncaughtException", onUncaught)
  process.on("unhandledRejection", onUncaught)
  Command.run(command, { version: "0.1.0" }).pipe(
    Effect.catchCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.interrupt : report(cause))),
    Effect.provide(Layer.mergeAll(NodeServices.layer, presenter, logger)),
    NodeRuntime.runMain({ disableErrorReporting: true }),
  )
}
