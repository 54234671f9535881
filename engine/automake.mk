noinst_LIBRARIES += engine/libotdengine.a
engine_libotdengine_a_SOURCES = \
	engine/engine.h
