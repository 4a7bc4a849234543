// The library hides all symbols but those marked here.
#ifndef OPTCC_RUNTIME_NATIVE_EXPORT_H_
#define OPTCC_RUNTIME_NATIVE_EXPORT_H_

#define OPTCC_EXPORT extern "C" __attribute__((visibility("default")))

#endif  // OPTCC_RUNTIME_NATIVE_EXPORT_H_
