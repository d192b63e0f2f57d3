/** Requests as the worker hears them, checked before anything is done with them. */
import { Options } from "@spikeroute/core"
import { Schema } from "effect"
import { greatestTimeSteps, policyNames, type Request, side, taskNames } from "../protocol.ts"

const Ink = Schema.instanceOf(Float32Array).check(
  Options.must(
    `${side} × ${side} numbers from 0 to 1`,
    (ink: Float32Array) => ink.length === side * side && ink.every((value) => value >= 0 && value <= 1),
  ),
)

/** A Schema for each type of request, by the names of the backends. */
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
        "a request with drawings if digits are to be learned",
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
 * Makes the check of what the worker is sent.
 *
 * @throws OptionError where it is no request
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
