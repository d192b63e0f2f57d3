/** The page's worker: hears requests, and gives answers. */
import { Backend } from "@spikeroute/core"
import { Cause, Effect, Fiber, ManagedRuntime } from "effect"
import type { Answer, Request, Settings } from "../protocol.ts"
import { backends } from "./backends.ts"
import { curveOf, plansOf } from "./network.ts"
import { makeSession, type Session } from "./session.ts"
import { tasks } from "./tasks.ts"

const post = (answer: Answer): void => self.postMessage(answer)

/** One line for the person, whatever went wrong. */
const report = (cause: Cause.Cause<unknown>): void => {
  if (Cause.hasInterruptsOnly(cause)) return
  const error = Cause.squash(cause)
  post({ type: "failed", message: error instanceof Error ? error.message : String(error) })
}
const reported = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchCause(effect, (cause) => Effect.sync(() => report(cause)))

/** A backend is loaded once, when it is first used. */
type Runtime = ManagedRuntime.ManagedRuntime<Backend, unknown>
const runtimes = new Map<string, Runtime>()
const runtimeOf = (name: string): Runtime => {
  const known = runtimes.get(name)
  if (known) return known
  const runtime = ManagedRuntime.make(backends[name]!.layer())
  runtimes.set(name, runtime)
  return runtime
}

let session: Session | undefined
let runtime: Runtime | undefined
let running: Fiber.Fiber<unknown, unknown> | undefined

const train = ({ settings, drawings }: Extract<Request, { readonly type: "train" }>): void => {
  const before = running
  session = undefined
  const body = Effect.gen(function* () {
    if (before) yield* Fiber.interrupt(before)
    const { description } = yield* Backend
    const made = yield* makeSession(settings, drawings, description, post)
    session = made
    yield* made.run
  })
  runtime = runtimeOf(settings.backend)
  running = runtime.runFork(reported(Effect.scoped(body)))
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

/** Does something with the session, if there is one. */
const withSession = (use: (session: Session) => Effect.Effect<unknown, unknown, Backend>): void => {
  if (session && runtime) runtime.runFork(reported(use(session)))
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
  look: (request) => withSession(({ look }) => look(request)),
}
const hear = <T extends Request["type"]>(request: Extract<Request, { readonly type: T }>): void =>
  answers[request.type as T](request)
self.onmessage = ({ data }: MessageEvent<Request>) => hear(data)
