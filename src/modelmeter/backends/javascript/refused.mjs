/** What stands in the place of stages that the model lacks: it says why. */

import { CostError } from "./runtime.mjs";

/** A function in the place of one. */
export const refuse = (name, reason) => {
  const refused = () => {
    throw new CostError(reason);
  };
  return Object.defineProperty(refused, "name", { value: name });
};

/** What makes an object of stages, with those that are refused: who reads one is told why; none is listed. */
export const refuseIn = (reasons, finish) => (parts) => {
  const found = { ...finish(parts) };
  for (const name in reasons) Object.defineProperty(found, name, { get: refuse(name, reasons[name]) });
  return Object.freeze(found);
};
