/** Validates requests to the worker. */
import { Options } from "@spikeroute/core"
import { Schema } from "effect"
import { greatestTimeSteps, policyNames, type Request, side, taskNames } from "../protocol.ts"

const Ink = Schema.instanceOf(Float32Array).check(
  Options.must(
    `${side} × ${side} numbers from 0 to 1`,
    (ink: Float32Array) => ink.length === side * side && ink.every((value) => value >= 0 && value <= 1),
  ),
)

/** A Schema for each type of request. */
const schemasWith = (backends: ReadonlyArray<string>) => {
  const settings = Schema.Struct({
    task: Options.oneOf(taskNames),
    policy: Options.oneOf(policyNames),
    k: Options.whole(1),
    timeSteps: Options.whole(1, greatestTimeSteps),
    backend: Options.oneOf(backends),
  })
  const drawings = Schema.Array(Schema.Struct({ ink: Ink, digit: Options.whole(0, 9) }))
  const of = <T extends Request["type"], Fields extends Schema.Struct.Fields>(type: T, fields: Fields) =>
    Schema.Struct({ type: Schema.Literal(type), ...fields })
  return {
    train: of("train", { settings, drawings }).check(
      Options.must(
        "a request that contains drawings if the task is digits",
        ({ settings, drawings }) => settings.task !== "digits" || drawings.length > 0,
      ),
    ),
    pause: of("pause", {}),
    continue: of("continue", {}),
    plan: of("plan", { settings }),
    measure: of("measure", {}),
    backends: of("backends", {}),
    look: of("look", { sample: Options.whole(0), ink: Schema.optional(Ink) }),
  } satisfies Record<Request["type"], unknown>
}

/**
 * A function that validates a message to the worker.
 *
 * @throws OptionError if the message is not a valid request
 */
export const requestsFor = (backends: ReadonlyArray<string>): ((message: unknown) => Request) => {
  const schemas: Readonly<Record<string, Schema.Codec<unknown>>> = schemasWith(backends)
  const types = Schema.Struct({ type: Options.oneOf(Object.keys(schemas)) })
  return (message) => {
    const { type } = (message ?? {}) as { readonly type?: unknown }
    Options.assert("the request", types, { type })
    Options.assert("the request", schemas[type as string] as Schema.Codec<unknown>, message)
    return message as Request
  }
}
