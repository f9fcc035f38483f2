/* Says that this library stands in for the host's of the same name: os/library.h. */
__attribute__((visibility("default"))) const char mignificient_stand_in = 1;
