/** Custom neuron models, and the expressions to define them with. */
export {
  absolute,
  atan,
  constant,
  Expression,
  exp,
  fire,
  log,
  maximum,
  minimum,
  route,
  type SurrogateExpression,
  select,
  sigmoid,
  sqrt,
  tanh,
  type Value,
} from "../expressions/expression.ts"
export { type Learnt, learn, type Per, type Setting } from "../expressions/layer.ts"
export {
  type Choices,
  type Definition,
  make,
  type NeuronLayer,
  type NeuronOptions,
  type NeuronSettings,
  type ReadoutLayer,
  type Step,
} from "./define.ts"
export { refractory } from "./refractory.ts"
export { afterReset } from "./reset.ts"
