/** The page's worker: receives requests and posts answers. */
import { Backend, type BackendUnavailableError, type OptionError } from "@spikeroute/core"
import { Cause, Effect, Fiber, ManagedRuntime } from "effect"
import type { Answer, Request, Settings } from "../protocol.ts"
import { backends } from "./backends.ts"
import { curveOf, plansOf } from "./network.ts"
import { requestsFor } from "./requests.ts"
import { makeSession, type Session } from "./session.ts"
import { tasks } from "./tasks.ts"

const post = (answer: Answer): void => self.postMessage(answer)

/** Reports an error to the page in one line. Unexpected errors are also logged to the console. */
const report = (error: unknown): void => {
  const known = error instanceof Error && "_tag" in error
  if (!known) console.error(error)
  post({ type: "failed", message: known ? error.message : "internal error; change a setting or reload the page" })
}
const reportCause = (cause: Cause.Cause<unknown>): void => {
  if (!Cause.hasInterruptsOnly(cause)) report(Cause.squash(cause))
}
const reported = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchCause(effect, (cause) => Effect.sync(() => reportCause(cause)))

type Runtime = ManagedRuntime.ManagedRuntime<Backend, BackendUnavailableError | OptionError>

/** Backends, loaded on first use and kept until an error occurs on them. */
const runtimes = new Map<string, Runtime>()
const runtimeOf = (name: string): Runtime => {
  const known = runtimes.get(name)
  if (known) return known
  const runtime = ManagedRuntime.make(backends[name]!.layer())
  runtimes.set(name, runtime)
  return runtime
}

/** The current training: its backend, and the session once it has started. */
interface Training {
  readonly backend: string
  readonly runtime: Runtime
  fiber?: Fiber.Fiber<unknown, unknown>
  session?: Session
}
let training: Training | undefined

/** Runs an effect on the backend of a training. If it fails, everything on that backend ends. */
const runOn = (
  { backend, runtime }: Training,
  effect: Effect.Effect<unknown, unknown, Backend>,
): Effect.Effect<unknown> =>
  Effect.flatMap(runtime.contextEffect, (context) => Effect.provideContext(effect, context)).pipe(
    Effect.catchCause((cause) =>
      Effect.sync(() => {
        reportCause(cause)
        if (!Cause.hasInterruptsOnly(cause)) discard(backend, runtime)
      }),
    ),
  )

const discard = (backend: string, runtime: Runtime): void => {
  if (runtimes.get(backend) === runtime) runtimes.delete(backend)
  let ended: Training["fiber"]
  if (training?.runtime === runtime) {
    ended = training.fiber
    training = undefined
  }
  Effect.runFork(Effect.andThen(ended ? Fiber.interrupt(ended) : Effect.void, runtime.disposeEffect))
}

const train = ({ settings, drawings }: Extract<Request, { readonly type: "train" }>): void => {
  const before = training?.fiber
  const next: Training = { backend: settings.backend, runtime: runtimeOf(settings.backend) }
  const body = Effect.gen(function* () {
    const { description } = yield* Backend
    next.session = yield* makeSession(settings, drawings, description, post)
    yield* next.session.run
  })
  training = next
  const started = runOn(next, Effect.scoped(body))
  next.fiber = Effect.runFork(before ? Effect.andThen(Fiber.interrupt(before), started) : started)
}

const plan = (settings: Settings) =>
  Effect.gen(function* () {
    const task = tasks[settings.task]
    const plans = yield* plansOf(task, settings)
    const curves = yield* Effect.all({
      bptt: curveOf(task, "bptt", settings.k),
      sltt: curveOf(task, "sltt", settings.k),
      slttk: curveOf(task, "slttk", settings.k),
    })
    post({ type: "plan", task: settings.task, timeSteps: settings.timeSteps, plans, curves })
  })

/** Uses the session, if there is one. */
const withSession = (use: (session: Session) => Effect.Effect<unknown, unknown, Backend>): void => {
  if (training?.session) Effect.runFork(runOn(training, use(training.session)))
}

const findBackends = Effect.forEach(Object.entries(backends), ([name, { label, found }]) =>
  Effect.map(found, (details) => ({ name, label, ...details })),
).pipe(Effect.map((known) => post({ type: "backends", backends: known })))

const answers: { readonly [T in Request["type"]]: (request: Extract<Request, { readonly type: T }>) => void } = {
  train,
  plan: ({ settings }) => Effect.runFork(reported(plan(settings))),
  backends: () => Effect.runFork(findBackends),
  pause: () => withSession(({ pause }) => pause),
  continue: () => withSession(({ go }) => go),
  measure: () => withSession(({ measure }) => measure),
  look: (request) =>
    withSession(({ look, faultOf }) => {
      const fault = faultOf(request)
      return fault === undefined ? look(request) : Effect.sync(() => report(fault))
    }),
}
const hear = <T extends Request["type"]>(request: Extract<Request, { readonly type: T }>): void =>
  answers[request.type as T](request)
const requestOf = requestsFor(Object.keys(backends))
self.onmessage = ({ data }: MessageEvent<unknown>) => {
  try {
    hear(requestOf(data))
  } catch (error) {
    report(error)
  }
}
